/** What the kinds of calls have in common: their context, headers and end. */
import type { IncomingMessage } from "node:http";
import { Code, ConnectError } from "@connectrpc/connect";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { CallContext } from "../rpc/invoke.ts";
import { timeoutOf } from "./deadline.ts";
import type { Endpoint } from "./endpoint.ts";
import type { RestSettings } from "./options.ts";
import type { ErrorResponse } from "./status.ts";

/** What every call needs. */
export interface Serving {
  readonly settings: RestSettings;
  readonly writeError: (error: ConnectError) => ErrorResponse;
}

/** A request that found its endpoint. */
export interface Call {
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly endpoint: Endpoint;
  /** Raw path segments, without the verb. */
  readonly segments: readonly string[];
  /** Raw query, without `?`. */
  readonly query: string;
}

/** The content type of every JSON answer. */
export const jsonContentType = "application/json; charset=utf-8";

/** Aborts a context when its call is over; one object, because stack traces cost. */
const callIsOver = new ConnectError("the call is over", Code.Canceled);

/** Makes the context of a call, aborted when the response is over or the client is gone. */
export function openContext({ request, reply, endpoint }: Call, serving: Serving): CallContext {
  const { settings } = serving;
  const { raw } = request;
  const timeoutMs = timeoutOf(raw.headers);
  const context = endpoint.invocable.createContext({
    protocolName: "rest",
    requestMethod: request.method,
    url: `${request.protocol}://${request.host}${raw.url ?? ""}`,
    requestHeader: headersOf(raw),
    ...(timeoutMs === undefined ? {} : { timeoutMs: Math.min(timeoutMs, settings.maxTimeoutMs) }),
    ...(settings.contextValues === undefined
      ? {}
      : { contextValues: settings.contextValues(request) }),
  });
  if (reply.raw.destroyed) context.abort(callIsOver);
  else reply.raw.once("close", () => context.abort(callIsOver));
  return context;
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
export function copyHeaders(headers: Headers, reply: FastifyReply): void {
  headers.forEach((value, name) => {
    if (name === "set-cookie" || !ownHeaders.has(name)) reply.header(name, value);
  });
}

/** Answers with an error, as google.rpc.Status. */
export function sendError(
  error: unknown,
  { request, reply }: Pick<Call, "request" | "reply">,
  { settings, writeError }: Serving,
): void {
  if (reply.sent) return;
  const { httpStatus, headers, status } = writeError(settings.mapError(error, request));
  for (const [name, value] of Object.entries(headers)) {
    if (name === "connection" ? request.raw.httpVersionMajor === 1 : !ownHeaders.has(name)) {
      reply.header(name, value);
    }
  }
  reply
    .code(httpStatus)
    .header("cache-control", "no-store")
    .type(jsonContentType)
    .send(JSON.stringify(status));
}
