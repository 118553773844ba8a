/** What the kinds of calls have in common: their context, headers and end. */
import type { IncomingMessage } from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { CallContext, CallInit } from "../rpc/invoke.ts";
import { timeoutOf } from "./deadline.ts";
import type { Endpoint } from "./endpoint.ts";
import { isHttpError } from "./errors.ts";
import type { RestSettings } from "./options.ts";
import type { RouteMatch } from "./router.ts";
import type { ErrorResponse } from "./status.ts";

/** What all calls share. */
export interface Serving {
  readonly settings: RestSettings;
  writeError(error: ConnectError): ErrorResponse;
  /** The GET route of a raw path. */
  findRead(path: string): RouteMatch<Endpoint> | undefined;
}

/** A request and its reply. */
export interface Exchange {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
}

/** A request that found its endpoint. */
export interface Call extends Exchange {
  readonly endpoint: Endpoint;
  /** Raw path. */
  readonly path: string;
  /** Its raw segments, without the verb. */
  readonly segments: readonly string[];
  /** Raw query, without `?`. */
  readonly query: string;
}

/** The content type of every JSON answer. */
export const jsonContentType = "application/json; charset=utf-8";

/** Aborts a context when its call is over; one object, because stack traces cost. */
const callIsOver = new ConnectError("the call is over", Code.Canceled);

/** Makes the context of a call, aborted when the response is over or the client is gone. */
export function openContext(call: Call, { settings }: Serving): CallContext {
  const { request, endpoint } = call;
  const { raw } = request;
  const asked = timeoutOf(raw.headers) ?? settings.defaultTimeoutMs;
  const timeoutMs = asked === undefined ? undefined : Math.min(asked, settings.maxTimeoutMs);
  const contextValues = settings.contextValues?.(request);
  const init: CallInit = {
    protocolName: "rest",
    requestMethod: request.method,
    // Few handlers ask for these two.
    url: () => `${request.protocol}://${request.host}${raw.url ?? ""}`,
    requestHeader: () => headersOf(raw),
  };
  if (timeoutMs !== undefined) init.timeoutMs = timeoutMs;
  if (contextValues !== undefined) init.contextValues = contextValues;
  const context = endpoint.invocable.createContext(init);
  abortAtEnd(context, call);
  return context;
}

function abortAtEnd(context: CallContext, { request: { raw }, reply }: Call): void {
  const response = reply.raw;
  const end = (): void => context.abort(callIsOver);
  if (response.destroyed || raw.socket.destroyed) {
    end();
    return;
  }
  response.on("close", end);
  if (response.socket !== null) return;
  // Behind others on its connection, a response does not hear of the connection's end.
  const { socket } = raw;
  socket.once("close", end);
  response.on("close", () => socket.off("close", end));
}

function headersOf({ rawHeaders }: IncomingMessage): Headers {
  const headers = new Headers();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? "";
    if (name.charCodeAt(0) !== 58) headers.append(name, rawHeaders[index + 1] ?? "");
  }
  return headers;
}

/** Headers that describe the message on the wire: only the transcoder sets them. */
const ownHeaders: ReadonlySet<string> = new Set([
  "connection",
  "content-length",
  "content-type",
  "keep-alive",
  "transfer-encoding",
  "upgrade",
]);

/** Copies headers that a handler has set to the reply. */
export function copyHeaders(headers: Headers | undefined, reply: FastifyReply): void {
  headers?.forEach((value, name) => {
    if (!ownHeaders.has(name)) reply.header(name, value);
  });
}

/** Answers with an error, as google.rpc.Status. */
export function sendError(error: unknown, { request, reply }: Exchange, serving: Serving): void {
  if (reply.sent) return;
  const mapped = mapSafely(error, request, serving);
  const { headers, status, ...written } = serving.writeError(mapped);
  let { httpStatus } = written;
  if (isHttpError(error) && error.code === mapped.code) {
    // The mapper may have made an error of its own of it; the answer is of the same kind.
    httpStatus = error.httpStatus;
    error.metadata.forEach((value, name) => (headers[name] ??= value));
  }
  for (const [name, value] of Object.entries(headers)) {
    if (!ownHeaders.has(name)) reply.header(name, value);
  }
  // What is left of the body is not read, so the connection cannot serve another request.
  if (httpStatus === 413 && request.raw.httpVersionMajor === 1) reply.header("connection", "close");
  // A condition that the handler itself has found wrong.
  const isCondition = mapped.code === Code.Aborted && request.headers["if-match"] !== undefined;
  reply
    .code(isCondition ? 412 : httpStatus)
    .header("cache-control", "no-store")
    .type(jsonContentType)
    .send(JSON.stringify(status));
}

/** An error mapper that fails itself must not leave the client without an answer. */
export function mapSafely(
  error: unknown,
  request: FastifyRequest,
  { settings }: Serving,
): ConnectError {
  try {
    return settings.mapError(error, request);
  } catch (cause) {
    request.log.error({ err: cause }, "mapError failed");
    return new ConnectError("internal error", Code.Internal);
  }
}
