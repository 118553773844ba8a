import Anthropic from "@anthropic-ai/sdk";
import { createHttpProvider, type HttpProviderOptions } from "../http/http-provider.ts";
import { reuseRequest } from "../http/reuse-request.ts";
import type { ClosableProvider } from "../provider.ts";
import { checkRequest } from "./check-request.ts";
import { mapRequest } from "./map-request.ts";
import { createAnswerReader } from "./read-answer.ts";

const ANTHROPIC_BASE_URL = "https://api.anthropic.com";

/** Anthropic, or any server that speaks its Messages API. */
export function createAnthropicProvider(options: HttpProviderOptions): ClosableProvider {
  const baseURL = options.baseUrl ?? ANTHROPIC_BASE_URL;
  return createHttpProvider({
    name: "anthropic",
    baseUrl: baseURL,
    options,
    connect({ fetch, timeout }) {
      const client = new Anthropic({
        apiKey: options.apiKey,
        baseURL,
        webhookKey: null,
        maxRetries: 0,
        timeout,
        logLevel: "off",
        openTelemetry: false,
        fetch,
      });
      reuseRequest(client);
      return (request, fetchOptions) => {
        const { body, headers } = mapRequest(request);
        // `messages.create` sends the same, but writes warnings about models to the console.
        return client
          .post("/v1/messages", { body, stream: true, fetchOptions, headers })
          .asResponse();
      };
    },
    check: checkRequest,
    read: createAnswerReader,
  });
}
