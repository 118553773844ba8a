/** The listeners and how they end together. */
import type { Interceptor } from "@connectrpc/connect";
import type { FastifyInstance } from "fastify";
import type { AddressInfo } from "node:net";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.js";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { DomainError } from "../errors.ts";
import type { TraceCall } from "../rpc/call-trace.ts";
import { type CallEntry, createCallInterceptor } from "../rpc/calls.ts";
import { createClientAddress } from "../rpc/client-address.ts";
import { createGrpcHealthRoutes } from "../rpc/grpc-health/grpc-health.ts";
import type { Readiness } from "../rpc/grpc-health/readiness.ts";
import { createGrpcServer } from "../rpc/grpc/server.ts";
import { collectMethods, type Routes } from "../rpc/invoke.ts";
import { createReflectionRoutes } from "../rpc/reflection/reflection.ts";
import { createValidationInterceptor } from "../rpc/validation/interceptor.ts";
import { isUnexpected, type ReportError } from "../telemetry/error-report.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createMetricsServer } from "../telemetry/metrics-server.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import { createCallLog } from "./call-log.ts";
import { createCallMetrics } from "./call-metrics.ts";
import { createHttpServer } from "./http.ts";

export interface ServerParts {
  /** Handlers of all services, the same on every door. */
  routes: Routes;
  /**
   * Between the outermost interceptor (request id, log, errors) and validation:
   * authentication, limits. The first is the outermost.
   */
  interceptors?: Interceptor[];
  logger: Logger;
  /** Finds the trace that a call belongs to. Default: calls belong to none. */
  trace?: TraceCall;
  /** Takes the errors of calls that nobody expected. */
  report?: ReportError | undefined;
  /** Whether gRPC clients may ask what is served here. Default: true. */
  reflection?: boolean;
  /** Whether traffic should come, for grpc.health.v1. */
  readiness: Readiness;
  host: string;
  /** Connect, gRPC-Web and REST. 0: any free port. */
  httpPort: number;
  /** gRPC without TLS. 0: any free port. */
  grpcPort: number;
  /** The largest message, in bytes. Default: 16 MiB. */
  maxMessageBytes?: number;
  /** The longest that a call may take, in milliseconds. Default: 10 minutes. */
  defaultTimeoutMs?: number;
  /** A whole HTTP request must have come within this time, in milliseconds. Default: 70 seconds. */
  requestTimeoutMs?: number;
  /** Proxies whose `x-forwarded-for` is believed: IP addresses and `address/prefix`. Default: none. */
  trustedProxies?: readonly string[];
  /** Browser origins that may call REST. Default: none. */
  corsOrigins?: "*" | readonly string[];
  /** How long calls may still run when the server ends, in milliseconds. Default: 10 seconds. */
  drainMs?: number;
  /** Measures calls and serves `/metrics` on a port of its own; 0: any free port. Default: neither. */
  metrics?: { metrics: Metrics; port: number; noteUser(userId: string): void } | undefined;
  /** Adds routes of other kinds to the HTTP port. */
  addRoutes?(server: FastifyInstance): void;
}

/** Where the server listens. */
export interface ServerPorts {
  httpPort: number;
  grpcPort: number;
  /** Undefined when nothing is measured. */
  metricsPort: number | undefined;
}

export interface Server {
  listen(): Promise<ServerPorts>;
  /** From now on asks whoever keeps an HTTP connection to go elsewhere; calls are served as ever. */
  drain(): void;
  /** Takes nothing new, lets calls end for `drainMs`, or a second after `hurry`; then ends them. */
  close(hurry?: AbortSignal): Promise<void>;
  /** Calls being served now. */
  callsInFlight(): number;
}

const defaults = {
  maxMessageBytes: 16 * 1024 * 1024,
  defaultTimeoutMs: 600_000,
  // 16 MiB at 2 Mbit/s.
  requestTimeoutMs: 70_000,
  drainMs: 10_000,
};

/** Makes the listeners; nothing listens yet. */
export function createServer(parts: ServerParts): Server {
  const { host, logger, readiness } = parts;
  const { maxMessageBytes, defaultTimeoutMs, requestTimeoutMs, drainMs } = {
    ...defaults,
    ...parts,
  };
  const writeLine = createCallLog(logger);
  const clientAddress = createClientAddress(parts.trustedProxies ?? []);
  const methods = collectMethods(parts.routes).map(({ method }) => method);
  const services = [...new Set(methods.map(({ parent }) => parent))];
  const reflection = createReflectionRoutes([...services, Health], [file_google_rpc_error_details]);
  const reflected = collectMethods(reflection).map(({ method }) => method);
  const rpcs = [...methods, ...Health.methods, ...reflected].map(
    (it) => `${it.parent.typeName}/${it.name}`,
  );
  const measure = parts.metrics && createCallMetrics(parts.metrics.metrics, rpcs);
  const metricsServer = parts.metrics && createMetricsServer(parts.metrics.metrics);
  const log = (entry: CallEntry) => {
    measure?.(entry);
    if (entry.userId !== undefined) parts.metrics?.noteUser(entry.userId);
    writeLine(entry);
    if (parts.report !== undefined && isUnexpected(entry.code)) {
      const { rpc: where, door, requestId, runId, userId, traceId, cause } = entry;
      parts.report({ error: cause, where, door, requestId, runId, userId, traceId });
    }
  };
  const calls = createCallInterceptor({ log, trace: parts.trace });
  const validation = createValidationInterceptor(methods.map(({ input }) => input));
  const interceptors = [calls.interceptor, ...(parts.interceptors ?? []), validation];
  const internal = [calls.interceptor];

  const grpc = createGrpcServer({
    groups: [
      { routes: parts.routes, interceptors },
      ...(parts.reflection === false ? [] : [{ routes: reflection, interceptors: internal }]),
      { routes: createGrpcHealthRoutes(services, readiness), interceptors: internal },
    ],
    log,
    maxMessageBytes,
    defaultTimeoutMs,
    clientAddress,
  });
  let isDraining = false;
  const http = createHttpServer({
    isDraining: () => isDraining,
    routes: parts.routes,
    interceptors,
    log,
    maxMessageBytes,
    defaultTimeoutMs,
    requestTimeoutMs,
    clientAddress,
    corsOrigins: parts.corsOrigins ?? [],
    ...(parts.addRoutes ? { addRoutes: parts.addRoutes } : {}),
  });

  return {
    callsInFlight: calls.inFlight,
    drain() {
      isDraining = true;
    },
    async listen() {
      const metricsPort = parts.metrics?.port ?? 0;
      const opening = await Promise.allSettled([
        http.listen({ host, port: parts.httpPort }).catch(explain("HTTP_PORT", parts.httpPort)),
        grpc.listen(host, parts.grpcPort).catch(explain("GRPC_PORT", parts.grpcPort)),
        metricsServer?.listen(host, metricsPort).catch(explain("METRICS_PORT", metricsPort)),
      ]);
      const [httpOpened, grpcOpened, metricsOpened] = opening;
      if (
        httpOpened.status === "fulfilled" &&
        grpcOpened.status === "fulfilled" &&
        metricsOpened.status === "fulfilled"
      ) {
        const { port } = http.server.address() as AddressInfo;
        return { httpPort: port, grpcPort: grpcOpened.value, metricsPort: metricsOpened.value };
      }
      grpc.destroy();
      await Promise.all([http.close(), metricsServer?.close()]);
      // All of them at once, as with every other fault of the configuration.
      const reasons = opening.flatMap((it) =>
        it.status === "rejected" ? [it.reason as Error] : [],
      );
      throw new Error(reasons.map(({ message }) => message).join("\n"), { cause: reasons[0] });
    },
    async close(hurry) {
      isDraining = true;
      const cut = () => {
        calls.endAll(shuttingDown());
        // Time for the last answers to be written.
        setTimeout(() => {
          http.server.closeAllConnections();
          grpc.destroy();
        }, lastWordsMs);
      };
      let timer = setTimeout(cut, drainMs);
      const hasten = () => {
        clearTimeout(timer);
        // The last event of a stopped run still reaches its followers.
        timer = setTimeout(cut, Math.min(hurryMs, drainMs));
      };
      if (hurry?.aborted) hasten();
      else hurry?.addEventListener("abort", hasten);
      await Promise.all([http.close(), grpc.close()]);
      hurry?.removeEventListener("abort", hasten);
      clearTimeout(timer);
      await metricsServer?.close();
    },
  };
}

const lastWordsMs = 100;
const hurryMs = 1000;

function shuttingDown(): DomainError {
  const text = "the server is shutting down; try again";
  return new DomainError("UNAVAILABLE", "SHUTTING_DOWN", text, { retryAfterSeconds: 1 });
}

/** Says why a port cannot be listened on, and what to do. */
function explain(key: string, port: number): (reason: unknown) => never {
  return (reason) => {
    const text = reason instanceof Error ? reason.message : String(reason);
    if (/EADDRINUSE/.test(text)) {
      throw new Error(`port ${port} is in use; free it or set ${key} to another`, {
        cause: reason,
      });
    }
    if (/EACCES/.test(text)) {
      throw new Error(`port ${port} needs more rights; set ${key} to one above 1023`, {
        cause: reason,
      });
    }
    throw new Error(`cannot listen on port ${port} (${key}): ${text}`, { cause: reason });
  };
}
