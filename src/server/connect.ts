/**
 * Connect, Connect GET and gRPC-Web on a Fastify instance. It does what
 * @connectrpc/connect-fastify does, except that requests which no protocol takes
 * get an error that says so instead of a bare status.
 */
import { createContextValues, createConnectRouter, type Interceptor } from "@connectrpc/connect";
import type { UniversalHandler } from "@connectrpc/connect/protocol";
import {
  compressionBrotli,
  compressionGzip,
  universalRequestFromNodeRequest,
  universalResponseToNodeResponse,
} from "@connectrpc/connect-node";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { callKey } from "../rpc/call.ts";
import type { Routes } from "../rpc/invoke.ts";
import { HttpError } from "./http-error.ts";

export interface ConnectOptions {
  routes: Routes;
  interceptors: Interceptor[];
  /** The largest message, in bytes, in and out. */
  maxMessageBytes: number;
  /** The longest that a call may take, in milliseconds; the deadline of calls that bring none. */
  defaultTimeoutMs: number;
  /** Aborts what still runs when the server ends. */
  shutdownSignal: AbortSignal;
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
    shutdownSignal: options.shutdownSignal,
  });
  options.routes(router);
  void server.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    // Connect reads the body itself, within `readMaxBytes`.
    scope.addContentTypeParser(bodyOfRpc, (_request, _payload, done) => done(null));
    scope.addContentTypeParser("*", (_request, _payload, done) =>
      done(new HttpError(415, `this RPC takes content-type ${acceptedTypes}`)),
    );
    for (const handler of router.handlers) {
      scope.all(handler.requestPath, (request, reply) =>
        serve(handler, request, reply, options.defaultTimeoutMs),
      );
    }
  });
}

async function serve(
  handler: UniversalHandler,
  request: FastifyRequest,
  reply: FastifyReply,
  defaultTimeoutMs: number,
): Promise<unknown> {
  const { raw } = request;
  const web = raw.headers["content-type"]?.startsWith("application/grpc-web");
  request.call.door = web ? "grpc-web" : "connect";
  if (web) limitTimeout(raw.headers, "grpc-timeout", grpcTimeoutMs, defaultTimeoutMs, "m");
  else limitTimeout(raw.headers, "connect-timeout-ms", Number, defaultTimeoutMs, "");

  const contextValues = createContextValues().set(callKey, request.call);
  const response = await handler(
    universalRequestFromNodeRequest(raw, reply.raw, undefined, contextValues),
  );
  if (!response.body && response.status >= 400) throw refusal(response.status, handler, request);
  reply.hijack();
  try {
    await universalResponseToNodeResponse(response, reply.raw);
  } catch {
    // The caller went away while it was written to; the call's own log line says so.
    reply.raw.destroy();
  }
  return reply;
}

/** Why no protocol took the request. */
function refusal(status: number, handler: UniversalHandler, request: FastifyRequest): HttpError {
  switch (status) {
    case 405: {
      const allowed = handler.allowedMethods.join(", ");
      return new HttpError(405, `this RPC takes ${allowed}, not ${request.method}`, {
        allow: allowed,
      });
    }
    case 415:
      return new HttpError(415, `this RPC takes content-type ${acceptedTypes}`, {
        "accept-post": acceptedTypes,
      });
    default:
      return new HttpError(status, "this RPC cannot be called like this");
  }
}

/** Gives a call without a deadline, or with a longer one, the server's. */
function limitTimeout(
  headers: Record<string, string | string[] | undefined>,
  name: string,
  parse: (text: string) => number,
  limitMs: number,
  unit: string,
): void {
  const given = headers[name];
  // What is not a number stays as it is: Connect refuses it.
  if (given === undefined || parse(String(given)) > limitMs) headers[name] = `${limitMs}${unit}`;
}

const unitMs: Record<string, number> = { H: 3_600_000, M: 60_000, S: 1000, m: 1, u: 1e-3, n: 1e-6 };
function grpcTimeoutMs(text: string): number {
  return Number(text.slice(0, -1)) * (unitMs[text.slice(-1)] ?? Number.NaN);
}
