/** The HTTP door: Connect, gRPC-Web and REST on one Fastify instance. */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
} from "fastify";
import { acceptRequestId, type Call, createCall } from "../rpc/call.ts";
import { type CallEntry, logRefusal } from "../rpc/calls.ts";
import type { ClientAddress } from "../rpc/client-address.ts";
import type { Routes } from "../rpc/invoke.ts";
import { createClientErrorHandler } from "./broken-requests.ts";
import { addConnectRoutes } from "./connect.ts";
import { errorResponse, refusal } from "./refusal.ts";
import { addRestRoutes } from "./rest.ts";

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
  clientAddress: ClientAddress;
  /** Whether callers are to connect elsewhere: then a connection ends with its answer. */
  isDraining(): boolean;
  /** Browser origins that may call REST; `*` for all, empty for none. */
  corsOrigins: "*" | readonly string[];
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
    clientErrorHandler: createClientErrorHandler(log, maxHeaderBytes),
  });
  server.decorateRequest("call", null as unknown as Call);
  server.addHook("onRequest", (request, reply, done) => {
    begin(request, reply);
    done();
  });
  server.setErrorHandler((error, request, reply) => refuse(error, request, reply));
  server.setNotFoundHandler((request, reply) => {
    const path = pathOf(request);
    return refuse(refusal(404, `${request.method} ${path} does not exist`), request, reply);
  });
  addConnectRoutes(server, options);
  addRestRoutes(server, options);
  options.addRoutes?.(server);

  function begin(request: FastifyRequest, reply: FastifyReply): void {
    // Everyone behind reads the same id; on the raw response it survives a hijacked reply.
    request.raw.headers["x-request-id"] = request.id;
    reply.raw.setHeader("x-request-id", request.id);
    if (options.isDraining()) reply.raw.setHeader("connection", "close");
    const forwardedFor = single(request.headers["x-forwarded-for"]) ?? null;
    const address = options.clientAddress(request.raw.socket.remoteAddress, forwardedFor);
    request.call = createCall("http", request.id, address);
    reply.raw.once("close", () => {
      if (!request.call.served && !request.call.logged) logUnseen(request, reply);
    });
  }

  /** Logs a request that no interceptor saw: it did not get as far as a message. */
  function logUnseen(request: FastifyRequest, reply: FastifyReply): void {
    const status = reply.raw.statusCode;
    const refused = reply.raw.writableFinished
      ? refusal(status, `HTTP ${status}`)
      : new ConnectError("the caller went away", Code.Canceled);
    const error = status < 400 && reply.raw.writableFinished ? undefined : refused;
    logRefusal(log, request.call, `${request.method} ${pathOf(request)}`, error);
  }

  function refuse(reason: unknown, request: FastifyRequest, reply: FastifyReply) {
    if (!request.call) begin(request, reply);
    const { error, httpStatus, headers, body } = errorResponse(
      ownWords(reason, options.maxMessageBytes),
      request.id,
    );
    logRefusal(log, request.call, `${request.method} ${pathOf(request)}`, error);
    return reply.code(httpStatus).headers(headers).type("application/json").send(body);
  }
  return server;
}

/** Fastify's own refusals in our words; whatever else failed is told as what it is. */
function ownWords(reason: unknown, maxMessageBytes: number): unknown {
  const { code, statusCode = 500, message } = reason as FastifyError;
  if (typeof code !== "string" || !code.startsWith("FST_") || statusCode >= 500) return reason;
  switch (statusCode) {
    case 413:
      return refusal(statusCode, `the request is larger than ${maxMessageBytes} bytes; send less`);
    case 415:
      return refusal(statusCode, "content-type: must say what the body is: application/json");
    default:
      return refusal(statusCode, message);
  }
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
