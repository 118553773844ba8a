/** The HTTP door: Connect, gRPC-Web and REST on one Fastify instance. */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import type { Socket } from "node:net";
import { acceptRequestId, type Call, createCall } from "../rpc/call.ts";
import { type CallEntry, logRefusal } from "../rpc/calls.ts";
import { toConnectError } from "../rpc/errors.ts";
import type { Routes } from "../rpc/invoke.ts";
import { addConnectRoutes } from "./connect.ts";
import { errorFromHttpStatus, HttpError } from "./http-error.ts";
import { addRestRoutes } from "./rest.ts";
import { httpStatus, statusJson } from "./status-json.ts";

declare module "fastify" {
  interface FastifyRequest {
    /** The record of this request; its log line is written once, by whoever ends it. */
    call: Call;
  }
}

export interface HttpServerOptions {
  routes: Routes;
  interceptors: Interceptor[];
  /** Takes the log lines of requests that end before the interceptors see them. */
  log(entry: CallEntry): void;
  /** The largest message, in bytes, in and out. */
  maxMessageBytes: number;
  /** The longest that a call may take, in milliseconds; the deadline of calls that bring none. */
  defaultTimeoutMs: number;
  /** A whole request must have come within this time, in milliseconds. */
  requestTimeoutMs: number;
  /** Adds routes beside Connect's and REST's: documentation, static files. */
  addRoutes?(server: FastifyInstance): void;
}

/** All headers must have come within this time, and be no larger than this. */
const headersTimeoutMs = 10_000;
const maxHeaderBytes = 32 * 1024;
/** How often slow connections are looked for; Node's own 30 s would let them be. */
const slowCheckMs = 1000;
/** Longer than the 60 s of common load balancers, so that they close first. */
const keepAliveTimeoutMs = 75_000;

/** Makes the instance; nothing listens yet. */
export function createHttpServer(options: HttpServerOptions): FastifyInstance {
  const { log } = options;
  const server = Fastify({
    bodyLimit: options.maxMessageBytes,
    requestTimeout: options.requestTimeoutMs,
    keepAliveTimeout: keepAliveTimeoutMs,
    // Silence for longer than any call may take: the caller has stopped reading, or is gone.
    connectionTimeout: options.defaultTimeoutMs + 30_000,
    http: {
      headersTimeout: Math.min(headersTimeoutMs, options.requestTimeoutMs),
      maxHeaderSize: maxHeaderBytes,
      connectionsCheckingInterval: slowCheckMs,
    },
    forceCloseConnections: "idle",
    return503OnClosing: false,
    genReqId: (request) => acceptRequestId(single(request.headers["x-request-id"])),
    frameworkErrors: (error, request, reply) => void refuse(error, request, reply),
    clientErrorHandler,
  });
  server.decorateRequest("call", null as unknown as Call);
  server.addHook("onRequest", (request, reply, done) => {
    begin(request, reply);
    done();
  });
  server.setErrorHandler<FastifyError>((error, request, reply) => refuse(error, request, reply));
  server.setNotFoundHandler((request, reply) => {
    const path = pathOf(request);
    return refuse(new HttpError(404, `${request.method} ${path} does not exist`), request, reply);
  });
  addConnectRoutes(server, options);
  addRestRoutes(server, options);
  options.addRoutes?.(server);

  function begin(request: FastifyRequest, reply: FastifyReply): void {
    // Everyone behind reads the same id; on the raw response it survives a hijacked reply.
    request.raw.headers["x-request-id"] = request.id;
    reply.raw.setHeader("x-request-id", request.id);
    request.call = createCall("http", request.id, request.ip);
    reply.raw.once("close", () => {
      if (!request.call.served && !request.call.logged) logUnseen(request, reply);
    });
  }

  /** Logs a request that no interceptor saw: it did not get as far as a message. */
  function logUnseen(request: FastifyRequest, reply: FastifyReply): void {
    const status = reply.raw.statusCode;
    const refused = reply.raw.writableFinished
      ? errorFromHttpStatus(status, `HTTP ${status}`)
      : new ConnectError("the caller went away", Code.Canceled);
    const error = status < 400 && reply.raw.writableFinished ? undefined : refused;
    logRefusal(log, request.call, `${request.method} ${pathOf(request)}`, error);
  }

  function refuse(reason: FastifyError | HttpError, request: FastifyRequest, reply: FastifyReply) {
    if (!request.call) begin(request, reply);
    const { status, error } = describe(reason, options.maxMessageBytes);
    const told = toConnectError(error, request.id);
    if (reason instanceof HttpError) void reply.headers(reason.headers);
    logRefusal(log, request.call, `${request.method} ${pathOf(request)}`, told);
    return reply
      .code(status ?? httpStatus(told.code))
      .type("application/json; charset=utf-8")
      .send(statusJson(told));
  }
  return server;
}

/** What is wrong, in the words of an RPC error, and its HTTP status if that says more. */
function describe(
  reason: FastifyError | HttpError,
  maxMessageBytes: number,
): { status?: number; error: unknown } {
  if (reason instanceof HttpError) {
    return { status: reason.status, error: errorFromHttpStatus(reason.status, reason.message) };
  }
  const status = reason.statusCode;
  if (typeof reason.code !== "string" || !reason.code.startsWith("FST_") || !status) {
    return { error: reason };
  }
  if (status === 413) {
    const text = `the request is larger than ${maxMessageBytes} bytes; send less`;
    return { status, error: errorFromHttpStatus(status, text) };
  }
  return { status, error: status < 500 ? errorFromHttpStatus(status, reason.message) : reason };
}

/** A request that is not HTTP, too slow or with too large headers: there is no reply object yet. */
function clientErrorHandler(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === "ECONNRESET" || !socket.writable) {
    socket.destroy();
    return;
  }
  const status =
    { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[error.code ?? ""] ?? 400;
  const texts: Record<number, string> = {
    400: "this is not a valid HTTP/1.1 request",
    408: "the request took too long to arrive",
    431: `the headers are larger than ${maxHeaderBytes} bytes`,
  };
  const requestId = acceptRequestId(undefined);
  const text = texts[status] ?? "";
  const body = statusJson(toConnectError(errorFromHttpStatus(status, text), requestId));
  socket.end(
    `HTTP/1.1 ${status} Refused\r\nconnection: close\r\nx-request-id: ${requestId}\r\n` +
      `content-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  );
}

/** The path without its query, which may hold what nobody should read in a log. */
function pathOf(request: FastifyRequest): string {
  const { url } = request;
  const end = url.indexOf("?");
  return end < 0 ? url : url.slice(0, end);
}

function single(header: string | string[] | undefined): string | undefined {
  return Array.isArray(header) ? header[0] : header;
}
