/**
 * Sends the requests of one provider by undici's dispatcher, without the WHATWG streams, promises
 * and copies of a fetch around it: the bytes of an answer go to the call's `ByteReceiver` as the
 * socket delivers them.
 */
import { Pool, type Dispatcher } from "undici";
import { currentSpan } from "../../telemetry/span.ts";
import { retryAfterSeconds } from "../errors.ts";
import type { ByteReceiver } from "./event-stream.ts";
import type { HttpRequest } from "./sdk-request.ts";
import { StatusError } from "./status-error.ts";

export interface HttpClientOptions {
  /** Where the provider is; only requests to this origin are sent. */
  baseUrl: string;
  /** The most connections, which is the most calls under way. Further calls wait. Default: 1,024. */
  maxConnections?: number | undefined;
  /** Milliseconds for a connection to stand, TLS included. Default: 10,000. */
  connectTimeoutMs?: number | undefined;
}

export interface HttpClient {
  /** The receiver is told everything, also that the answer is a bad one, as a StatusError. */
  send(request: HttpRequest, receiver: ByteReceiver): void;
  /** Breaks off what is under way and closes all connections. */
  close(): Promise<void>;
}

/** More of the body of a bad answer is not read. */
const MAX_ERROR_BYTES = 64 * 1024;
/** Nor is it waited for longer: the status says most of it. */
const ERROR_BODY_MS = 2000;

/** Makes the client of one provider, with connections of its own. */
export function createHttpClient(options: HttpClientOptions): HttpClient {
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
    send({ url, headers, body }, receiver) {
      // Without saying what it is: it may hold a password.
      if (!url.startsWith(`${origin}/`)) throw new TypeError(`the request is not for ${origin}`);
      const path = url.slice(origin.length);
      pool.dispatch(
        { path, method: "POST", headers: withTrace(headers), body },
        createHandler(receiver),
      );
    },
    close: () => pool.destroy(),
  };
}

function createHandler(receiver: ByteReceiver): Dispatcher.DispatchHandler {
  let bad: BadAnswer | undefined;
  return {
    onRequestStart(controller) {
      receiver.start(controller);
    },
    onResponseStart(controller, status, headers) {
      if (status < 200) return;
      if (status < 300) {
        receiver.accept(headers["content-type"]);
        return;
      }
      const overdue = () => controller.abort(new Error("error body too slow"));
      const timer = setTimeout(overdue, ERROR_BODY_MS).unref();
      bad = { status, headers, chunks: [], bytes: 0, timer };
    },
    onResponseData(controller, chunk) {
      if (bad === undefined) {
        receiver.data(chunk);
        return;
      }
      bad.chunks.push(chunk);
      bad.bytes += chunk.length;
      if (bad.bytes > MAX_ERROR_BYTES) controller.abort(new Error("error body too large"));
    },
    onResponseEnd() {
      if (bad === undefined) receiver.end();
      else receiver.fail(statusError(bad));
    },
    onResponseError(_controller, error) {
      // After the head of a bad answer, what came of its body must do.
      receiver.fail(bad === undefined ? error : statusError(bad));
    },
  };
}

interface BadAnswer {
  status: number;
  headers: Readonly<Record<string, string | string[] | undefined>>;
  chunks: Buffer[];
  bytes: number;
  timer: NodeJS.Timeout;
}

function statusError({ status, headers, chunks, timer }: BadAnswer): StatusError {
  clearTimeout(timer);
  const body = Buffer.concat(chunks).toString("utf8", 0, MAX_ERROR_BYTES);
  return new StatusError(status, retryAfterSeconds(headers), body);
}

/** The headers, and the call's trace where the operator wants providers to know of it. */
function withTrace(headers: string[]): string[] {
  const more = currentSpan()?.providerHeaders;
  // The list is shared by all calls.
  return more === undefined ? headers : [...headers, ...more];
}
