/** What the providers behind an SDK have in common. */
import type { ProviderTarget } from "../errors.ts";
import type { ClosableProvider, ModelRequest, ModelSink } from "../provider.ts";
import { withoutKey } from "./without-key.ts";
import { callError } from "./call-error.ts";
import { readEventStream, type AnswerReader } from "./event-stream.ts";
import { createLeanFetch } from "./lean-fetch.ts";

/** How to reach a provider. */
export interface HttpProviderOptions {
  apiKey: string;
  /** Default: the provider's own. */
  baseUrl?: string | undefined;
  /** The most calls under way at once; further ones wait. Default: 1,024. */
  maxConnections?: number | undefined;
  /** Milliseconds for a connection to stand. Default: 10,000. */
  connectTimeoutMs?: number | undefined;
}

/** Passed as the SDK's `fetchOptions`, which it hands through to our fetch as they are. */
export type FetchOptions = object;

/** Starts a streaming call through an SDK. */
export type Ask = (request: ModelRequest, fetchOptions: FetchOptions) => PromiseLike<unknown>;

export interface HttpProviderParts {
  name: string;
  baseUrl: string;
  options: HttpProviderOptions;
  /** Makes the SDK's client. */
  connect(http: { fetch: typeof fetch; timeout: number }): Ask;
  check(request: ModelRequest): void;
  read(sink: ModelSink, target: ProviderTarget): AnswerReader;
}

/** Longer than any timer of ours: the SDK's own would end as an unnamed abort. */
const SDK_TIMEOUT_MS = 24 * 60 * 60 * 1000;

export function createHttpProvider(parts: HttpProviderParts): ClosableProvider {
  const { name, options } = parts;
  const http = createLeanFetch({ ...options, baseUrl: parts.baseUrl });
  const ask = parts.connect({
    // What comes back is all that the SDKs read of a Response.
    fetch: http.fetch as unknown as typeof fetch,
    timeout: SDK_TIMEOUT_MS,
  });
  return {
    name,
    check: parts.check,
    async answer(request, sink, signal) {
      const target = { provider: name, model: request.model };
      const reader = parts.read(sink, target);
      try {
        await readEventStream((receiver) => ask(request, { receiver }), reader, signal);
      } catch (error) {
        signal.throwIfAborted();
        throw callError(withoutKey(error, options.apiKey), target, reader.started());
      }
      return reader.result();
    },
    close: http.close,
  };
}
