/** What the providers behind an SDK have in common. */
import type { ProviderTarget } from "../errors.ts";
import type { ClosableProvider, ModelRequest, ModelSink } from "../provider.ts";
import { withoutKey } from "./without-key.ts";
import { callError } from "./call-error.ts";
import { readEventStream, type AnswerReader, type ByteReceiver } from "./event-stream.ts";
import { createHttpClient } from "./http-client.ts";
import type { HttpRequest } from "./sdk-request.ts";

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

export interface HttpProviderParts {
  name: string;
  baseUrl: string;
  options: HttpProviderOptions;
  /** Makes the request of a call, of which the SDK says how. */
  build(request: ModelRequest): HttpRequest | Promise<HttpRequest>;
  check(request: ModelRequest): void;
  read(sink: ModelSink, target: ProviderTarget): AnswerReader;
}

export function createHttpProvider(parts: HttpProviderParts): ClosableProvider {
  const { name, options } = parts;
  const http = createHttpClient({ ...options, baseUrl: parts.baseUrl });

  function ask(request: ModelRequest, receiver: ByteReceiver): Promise<void> | undefined {
    const built = parts.build(request);
    if (built instanceof Promise) return built.then((made) => http.send(made, receiver));
    http.send(built, receiver);
    return undefined;
  }
  return {
    name,
    check: parts.check,
    async answer(request, sink, signal) {
      const target = { provider: name, model: request.model };
      const reader = parts.read(sink, target);
      try {
        await readEventStream((receiver) => ask(request, receiver), reader, signal);
      } catch (error) {
        signal.throwIfAborted();
        throw callError(withoutKey(error, options.apiKey), target, reader.started());
      }
      return reader.result();
    },
    close: http.close,
  };
}
