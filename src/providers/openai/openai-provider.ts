import { createHttpProvider, type HttpProviderOptions } from "../http/http-provider.ts";
import { createRequestBuilder } from "../http/sdk-request.ts";
import type { ClosableProvider } from "../provider.ts";
import { checkRequest } from "./check-request.ts";
import { mapRequest } from "./map-request.ts";
import { createAnswerReader } from "./read-answer.ts";
import { serverRules } from "./server-rules.ts";

const OPENAI_BASE_URL = "https://api.openai.com/v1";

/** OpenAI, or any server that speaks its Chat Completions API. */
export function createOpenAIProvider(options: HttpProviderOptions): ClosableProvider {
  const baseURL = options.baseUrl ?? OPENAI_BASE_URL;
  const rules = serverRules(baseURL);
  const client = import("openai").then(
    ({ OpenAI }) =>
      new OpenAI({
        apiKey: options.apiKey,
        baseURL,
        // Not from the environment: what we are configured with is all there is.
        organization: null,
        project: null,
        adminAPIKey: null,
        webhookSecret: null,
        logLevel: "off",
      }),
  );
  const build = createRequestBuilder(client, "/chat/completions");
  return createHttpProvider({
    name: "openai",
    baseUrl: baseURL,
    options,
    build: (request) => build(mapRequest(request, rules)),
    check: (request) => checkRequest(request, rules),
    read: createAnswerReader,
  });
}
