import OpenAI from "openai";
import { callError } from "../http/call-error.ts";
import { readEventStream, type ByteReceiver } from "../http/event-stream.ts";
import { createLeanFetch } from "../http/lean-fetch.ts";
import type { ClosableProvider } from "../provider.ts";
import { checkRequest } from "./check-request.ts";
import { mapRequest } from "./map-request.ts";
import { createAnswerReader } from "./read-answer.ts";
import { serverRules } from "./server-rules.ts";

export interface OpenAIProviderOptions {
  apiKey: string;
  /** Default: `https://api.openai.com/v1`. Anything else is a compatible server. */
  baseUrl?: string | undefined;
  /** The most calls under way at once. Default: 1,024. */
  maxConnections?: number | undefined;
  /** Default: 10,000. */
  connectTimeoutMs?: number | undefined;
}

const OPENAI_BASE_URL = "https://api.openai.com/v1";
/** Longer than any timer of ours: the SDK's own would end as an unnamed abort. */
const SDK_TIMEOUT_MS = 24 * 60 * 60 * 1000;

/** OpenAI, or any server that speaks its Chat Completions API. */
export function createOpenAIProvider(options: OpenAIProviderOptions): ClosableProvider {
  const baseURL = options.baseUrl ?? OPENAI_BASE_URL;
  const rules = serverRules(baseURL);
  const http = createLeanFetch({
    baseUrl: baseURL,
    ...(options.maxConnections !== undefined && { maxConnections: options.maxConnections }),
    ...(options.connectTimeoutMs !== undefined && { connectTimeoutMs: options.connectTimeoutMs }),
  });
  const client = new OpenAI({
    apiKey: options.apiKey,
    baseURL,
    // Not from the environment: what we are configured with is all there is.
    organization: null,
    project: null,
    adminAPIKey: null,
    webhookSecret: null,
    maxRetries: 0,
    timeout: SDK_TIMEOUT_MS,
    logLevel: "off",
    // What LeanFetch gives back is all that the SDK reads of a Response.
    fetch: http.fetch as unknown as typeof fetch,
  });

  return {
    name: "openai",
    check: (request) => checkRequest(request, rules),
    async answer(request, sink, signal) {
      const target = { provider: "openai", model: request.model };
      const body = mapRequest(request, rules);
      const reader = createAnswerReader(sink, target);
      try {
        await readEventStream(
          (receiver) =>
            client.chat.completions.create(body, { fetchOptions: carry(receiver) }).asResponse(),
          reader,
          signal,
        );
      } catch (error) {
        signal.throwIfAborted();
        throw callError(error, target, reader.started);
      }
      return reader.result();
    },
    close: http.close,
  };
}

/** The SDK hands `fetchOptions` through to our fetch as they are. */
function carry(receiver: ByteReceiver): NonNullable<OpenAI.RequestOptions["fetchOptions"]> {
  return { receiver } as object;
}
