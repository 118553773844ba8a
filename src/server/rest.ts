/** REST on the HTTP port: the transcoder with Tribe's errors, log and call record. */
import { createRegistry } from "@bufbuild/protobuf";
import { createContextValues, type Interceptor } from "@connectrpc/connect";
import type { FastifyInstance } from "fastify";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.js";
import { fastifyRest } from "../rest/index.ts";
import { callKey } from "../rpc/call.ts";
import { type CallEntry, logRefusal } from "../rpc/calls.ts";
import { toConnectError } from "../rpc/errors.ts";
import type { Routes } from "../rpc/invoke.ts";

export interface RestRoutesOptions {
  routes: Routes;
  interceptors: Interceptor[];
  /** Takes the log lines of calls that end before the interceptors see them. */
  log(entry: CallEntry): void;
  /** The largest request body, in bytes. */
  maxMessageBytes: number;
  /** The longest that a call may take, in milliseconds; the deadline of calls that bring none. */
  defaultTimeoutMs: number;
  /** Browser origins that may call; `*` for all, empty for none. */
  corsOrigins: "*" | readonly string[];
}

/** Response headers that scripts of other origins may read. */
const exposedHeaders = [
  "etag",
  "retry-after",
  "x-request-id",
  "x-tribe-cache",
  ...["limit", "remaining", "reset"].flatMap((name) => [
    `x-ratelimit-${name}-requests`,
    `x-ratelimit-${name}-tokens`,
  ]),
];

const deadlineHeaders = ["x-server-timeout", "connect-timeout-ms", "grpc-timeout"];

/** Adds a route for every `google.api.http` rule. */
export function addRestRoutes(server: FastifyInstance, options: RestRoutesOptions): void {
  const { routes, interceptors, log, defaultTimeoutMs, corsOrigins } = options;
  const defaultSeconds = String(defaultTimeoutMs / 1000);
  void server.register(async (scope) => {
    scope.addHook("onRequest", (request, _reply, done) => {
      request.call.door = "rest";
      const { headers } = request.raw;
      if (!deadlineHeaders.some((name) => name in headers)) {
        headers["x-server-timeout"] = defaultSeconds;
      }
      done();
    });
    await scope.register(fastifyRest, {
      routes,
      interceptors,
      maxRequestBytes: options.maxMessageBytes,
      maxTimeoutMs: defaultTimeoutMs,
      ...(corsOrigins.length === 0 ? {} : { cors: { origins: corsOrigins, exposedHeaders } }),
      registry: createRegistry(file_google_rpc_error_details),
      contextValues: (request) => createContextValues().set(callKey, request.call),
      mapError(reason, request) {
        const error = toConnectError(reason, request.id);
        logRefusal(log, request.call, `${request.method} ${request.url.split("?", 1)[0]}`, error);
        return error;
      },
    });
  });
}
