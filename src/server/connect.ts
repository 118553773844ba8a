/**
 * Connect, Connect GET and gRPC-Web on a Fastify instance. Streams and gRPC-Web
 * are served by Connect-ES as @connectrpc/connect-fastify does it; requests that
 * no protocol takes get an error that says so instead of a bare status.
 */
import { createConnectRouter, createContextValues, type Interceptor } from "@connectrpc/connect";
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { callKey } from "../rpc/call.ts";
import { type CallEntry, logRefusal } from "../rpc/calls.ts";
import { toConnectError } from "../rpc/errors.ts";
import { collectMethods, type Routes } from "../rpc/invoke.ts";
import { isUnaryType } from "./connect-request.ts";
import { createConnectUnary } from "./connect-unary.ts";
import { checkedEnvelopes, watchedResponse } from "./envelopes.ts";
import { readJson, readProtobuf } from "./read-message.ts";
import { refusal } from "./refusal.ts";

export interface ConnectOptions {
  routes: Routes;
  interceptors: Interceptor[];
  /** Takes the log lines of calls that end before the interceptors see them. */
  log(entry: CallEntry): void;
  /** The largest message, in bytes, in and out. */
  maxMessageBytes: number;
  /** The longest that a call may take, in milliseconds; the deadline of calls that bring none. */
  defaultTimeoutMs: number;
}

const acceptedTypes =
  "application/json, application/proto, application/connect+json, application/connect+proto, application/grpc-web+proto, application/grpc-web+json";
const bodyOfRpc =
  /^application\/(?:json|proto|connect\+(?:json|proto)|grpc-web(?:-text)?(?:\+(?:json|proto))?)(?:$|\s*;)/;

/** Adds a route for every RPC. */
export function addConnectRoutes(server: FastifyInstance, options: ConnectOptions): void {
  const router = createConnectRouter({
    connect: true,
    grpcWeb: true,
    // gRPC needs HTTP/2 trailers; it has a port of its own.
    grpc: false,
    interceptors: options.interceptors,
    readMaxBytes: options.maxMessageBytes,
    writeMaxBytes: options.maxMessageBytes,
    acceptCompression: [compressionGzip, compressionBrotli],
  });
  options.routes(router);
  void server.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    // Connect reads the body itself, within `readMaxBytes`.
    scope.addContentTypeParser(bodyOfRpc, (_request, _payload, done) => done(null));
    scope.addContentTypeParser("*", (_request, _payload, done) =>
      done(refusal(415, `this RPC takes content-type ${acceptedTypes}`)),
    );
    const unary = new Map(
      collectMethods(options.routes, options.interceptors)
        .filter(({ method }) => method.methodKind === "unary")
        .map((invocable) => [
          `/${invocable.method.parent.typeName}/${invocable.method.name}`,
          createConnectUnary(invocable, options),
        ]),
    );
    for (const handler of router.handlers) {
      const serveUnary = unary.get(handler.requestPath);
      scope.all(handler.requestPath, async (request, reply) => {
        request.call.door = "connect";
        if (serveUnary && isConnectUnary(request, handler)) return serveUnary(request, reply);
        return serve(handler, request, reply, options);
      });
    }
  });
}

function isConnectUnary({ method, raw }: FastifyRequest, handler: UniversalHandler): boolean {
  if (method === "POST") return isUnaryType(raw.headers["content-type"]);
  return method === "GET" && handler.allowedMethods.includes("GET");
}

async function serve(
  handler: UniversalHandler,
  request: FastifyRequest,
  reply: FastifyReply,
  options: ConnectOptions,
): Promise<void> {
  const { raw, call } = request;
  const { headers } = raw;
  const contentType = headers["content-type"] ?? "";
  const limitMs = options.defaultTimeoutMs;
  if (contentType.startsWith("application/grpc-web")) {
    call.door = "grpc-web";
    limitTimeout(headers, "grpc-timeout", grpcTimeoutMs, `${limitMs}m`, limitMs);
  } else {
    limitTimeout(headers, "connect-timeout-ms", Number, String(limitMs), limitMs);
  }
  const contextValues = createContextValues().set(callKey, call);
  const universal = universalRequestFromNodeRequest(raw, reply.raw, undefined, contextValues);
  const body = universal.body as AsyncIterable<Uint8Array>;
  const read = contentType.includes("+json") ? readJson : readProtobuf;
  universal.body = checkedEnvelopes(
    body,
    options.maxMessageBytes,
    (message) => void read(handler.method.input, message),
    (reason) => toConnectError(reason, call.requestId),
  );
  const response = await handler(universal);
  if (!response.body) {
    if (response.status >= 400) throw whyRefused(response.status, handler, request);
  } else if (call.door === "grpc-web") {
    response.body = watchedResponse(response.body, (error) => {
      const rpc = `${handler.service.typeName}/${handler.method.name}`;
      logRefusal(options.log, call, rpc, toConnectError(error, call.requestId));
    });
  }
  reply.hijack();
  // It never resolves, and rejects when the caller goes away, which the call's own log line tells.
  universalResponseToNodeResponse(response, reply.raw).catch(() => reply.raw.destroy());
}

/** Why no protocol took the request. */
function whyRefused(status: number, handler: UniversalHandler, request: FastifyRequest): Error {
  switch (status) {
    case 405: {
      const allowed = handler.allowedMethods.join(", ");
      return refusal(405, `this RPC takes ${allowed}, not ${request.method}`, {
        allow: allowed,
      });
    }
    case 415:
      return refusal(415, `this RPC takes content-type ${acceptedTypes}`, {
        "accept-post": acceptedTypes,
      });
    default:
      return refusal(status, "this RPC cannot be called like this");
  }
}

/** Gives a call without a deadline, or with a longer one, the server's. */
function limitTimeout(
  headers: Record<string, string | string[] | undefined>,
  name: string,
  parse: (text: string) => number,
  limit: string,
  limitMs: number,
): void {
  const given = headers[name];
  // What is not a number stays as it is: Connect refuses it.
  if (given === undefined || parse(String(given)) > limitMs) headers[name] = limit;
}

const unitMs: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
function grpcTimeoutMs(text: string): number {
  return Number(text.slice(0, -1)) * (unitMs[text.slice(-1)] ?? Number.NaN);
}
