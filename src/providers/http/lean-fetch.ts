/**
 * The `fetch` that the providers' SDKs are given: undici's dispatcher, without
 * the WHATWG streams, promises and copies of a full fetch around it. What comes
 * back has just what the SDKs read of a Response. The bytes of a good answer go
 * to the call's own `ByteReceiver`, as the socket delivers them.
 */
import { Pool, type Dispatcher } from "undici";
import { currentSpan } from "../../telemetry/span.ts";
import type { ByteReceiver } from "./event-stream.ts";
import { createHeaderView, type HeaderView } from "./header-view.ts";

/** What the SDKs pass to `fetch`, as far as it is looked at. */
export interface LeanRequestInit {
  method?: string;
  headers?: Headers | Record<string, string>;
  /** The same headers as names and values in turn, which spares walking through `headers`. */
  headerList?: string[];
  body?: unknown;
  /** Who takes the answer; handed through the SDKs by their `fetchOptions`. */
  receiver?: ByteReceiver;
}

/** What the SDKs read of a Response. */
export interface LeanResponse {
  readonly ok: boolean;
  readonly status: number;
  readonly statusText: string;
  readonly url: string;
  readonly headers: HeaderView;
  /** Always null: the bytes of a good answer went to the receiver. */
  readonly body: null;
  /** The body of a bad answer, at most 64 KiB of it. */
  text(): Promise<string>;
  json(): Promise<unknown>;
}

export interface LeanFetchOptions {
  /** Where the provider is; only requests to this origin are sent. */
  baseUrl: string;
  /** The most connections, which is the most calls under way. Further calls wait. Default: 1,024. */
  maxConnections?: number | undefined;
  /** Milliseconds for a connection to stand, TLS included. Default: 10,000. */
  connectTimeoutMs?: number | undefined;
}

export interface LeanFetch {
  fetch(url: string, init: LeanRequestInit): Promise<LeanResponse>;
  /** Breaks off what is under way and closes all connections. */
  close(): Promise<void>;
}

const MAX_ERROR_BYTES = 64 * 1024;

/** Makes the `fetch` of one provider, with connections of its own. */
export function createLeanFetch(options: LeanFetchOptions): LeanFetch {
  const { origin } = new URL(options.baseUrl);
  const pool = new Pool(origin, {
    connections: options.maxConnections ?? 1024,
    // An answer of minutes must not hold up another one behind it.
    pipelining: 1,
    // One stream a connection: an HTTP/2 session that breaks would take all of its streams along.
    allowH2: false,
    connect: { timeout: options.connectTimeoutMs ?? 10_000 },
    keepAliveTimeout: 30_000,
    // The timers of timeouts.ts rule: they know what is content and what is a keep-alive.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  return {
    fetch: (url, init) => send(pool, origin, url, init),
    close: () => pool.destroy(),
  };
}

function send(
  pool: Pool,
  origin: string,
  url: string,
  init: LeanRequestInit,
): Promise<LeanResponse> {
  const { receiver, body } = init;
  if (receiver === undefined) return Promise.reject(new TypeError("a receiver is required"));
  if (!url.startsWith(origin) || typeof body !== "string") {
    return Promise.reject(new TypeError(`only JSON for ${origin} can be sent`));
  }
  return new Promise((resolve, reject) => {
    let errorBody: ErrorBody | undefined;
    const handler: Dispatcher.DispatchHandler = {
      onRequestStart(controller) {
        receiver.start(controller);
      },
      onResponseStart(_controller, status, headers, statusText) {
        if (status < 200) return;
        const view = createHeaderView(headers);
        const ok = status < 300;
        if (ok) receiver.accept(view);
        else errorBody = collectErrorBody();
        const text = () => errorBody?.text ?? Promise.resolve("");
        resolve({
          ok,
          status,
          statusText: statusText ?? "",
          url,
          headers: view,
          body: null,
          text,
          json: async () => JSON.parse(await text()),
        });
      },
      onResponseData(controller, chunk) {
        if (errorBody === undefined) receiver.data(chunk);
        else if (!errorBody.add(chunk)) controller.abort(new Error("error body too large"));
      },
      onResponseEnd() {
        if (errorBody === undefined) receiver.end();
        else errorBody.end();
      },
      onResponseError(_controller, error) {
        // After the head of an error answer, what came of its body must do.
        if (errorBody === undefined) receiver.fail(error);
        else errorBody.end();
        reject(error);
      },
    };
    pool.dispatch(
      {
        path: url.slice(origin.length),
        method: (init.method ?? "POST") as Dispatcher.HttpMethod,
        headers: withTrace(init),
        body,
      },
      handler,
    );
  });
}

/** The headers, and the call's trace where the operator wants providers to know of it. */
function withTrace({ headerList, headers }: LeanRequestInit) {
  const given = headerList ?? headers ?? null;
  const more = currentSpan()?.providerHeaders;
  if (more === undefined) return given;
  // The list is shared by all calls.
  if (Array.isArray(given)) return [...given, ...more];
  const pairs = given instanceof Headers ? [...given] : Object.entries(given ?? {});
  return [...pairs.flat(), ...more];
}

interface ErrorBody {
  readonly text: Promise<string>;
  /** False when it is more than anybody wants to read. */
  add(chunk: Buffer): boolean;
  end(): void;
}

function collectErrorBody(): ErrorBody {
  const chunks: Buffer[] = [];
  let bytes = 0;
  const { promise, resolve } = Promise.withResolvers<string>();
  return {
    text: promise,
    add(chunk) {
      chunks.push(chunk);
      bytes += chunk.length;
      return bytes <= MAX_ERROR_BYTES;
    },
    end: () => resolve(Buffer.concat(chunks).toString("utf8", 0, MAX_ERROR_BYTES)),
  };
}
