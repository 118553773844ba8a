import { createHttpProvider, type HttpProviderOptions } from "../http/http-provider.ts";
import { createRequestBuilder } from "../http/sdk-request.ts";
import type { ClosableProvider } from "../provider.ts";
import { checkRequest } from "./check-request.ts";
import { mapRequest } from "./map-request.ts";
import { createAnswerReader } from "./read-answer.ts";

const ANTHROPIC_BASE_URL = "https://api.anthropic.com";

/** Anthropic, or any server that speaks its Messages API. */
export function createAnthropicProvider(options: HttpProviderOptions): ClosableProvider {
  const baseURL = options.baseUrl ?? ANTHROPIC_BASE_URL;
  const client = import("@anthropic-ai/sdk").then(
    ({ Anthropic }) =>
      new Anthropic({
        apiKey: options.apiKey,
        baseURL,
        webhookKey: null,
        logLevel: "off",
        openTelemetry: false,
      }),
  );
  const build = createRequestBuilder(client, "/v1/messages");
  return createHttpProvider({
    name: "anthropic",
    baseUrl: baseURL,
    options,
    build(request) {
      const { body, headers } = mapRequest(request);
      return build(body, headers);
    },
    check: checkRequest,
    read: createAnswerReader,
  });
}
