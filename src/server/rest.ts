/** REST on the HTTP port: the transcoder with Tribe's errors, log and call record. */
import { createRegistry } from "@bufbuild/protobuf";
import { createContextValues, type Interceptor } from "@connectrpc/connect";
import type { FastifyInstance } from "fastify";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.js";
import { fastifyRest } from "../rest/index.ts";
import { callKey } from "../rpc/call.ts";
import { logCall } from "../rpc/calls.ts";
import { toConnectError } from "../rpc/errors.ts";
import type { Routes } from "../rpc/invoke.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createCallLog } from "./call-log.ts";

export interface RestRoutesOptions {
  routes: Routes;
  interceptors: Interceptor[];
  logger: Logger;
}

/** Adds a route for every `google.api.http` rule. */
export function addRestRoutes(server: FastifyInstance, options: RestRoutesOptions): void {
  const { routes, interceptors, logger } = options;
  const log = createCallLog(logger);
  void server.register(fastifyRest, {
    routes,
    interceptors,
    registry: createRegistry(file_google_rpc_error_details),
    contextValues(request) {
      request.call.door = "rest";
      return createContextValues().set(callKey, request.call);
    },
    mapError(reason, request) {
      const error = toConnectError(reason, request.id);
      // What no interceptor saw is logged here; a call has one line only.
      request.call.door = "rest";
      logCall(log, request.call, `${request.method} ${request.url.split("?", 1)[0]}`, error);
      return error;
    },
  });
}
