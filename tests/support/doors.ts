/** A Tribe with handlers of our own behind the real doors. */
import { create } from "@bufbuild/protobuf";
import type { Interceptor, ServiceImpl } from "@connectrpc/connect";
import { ChatService, StreamMessageResponseSchema } from "../../gen/tribe/v1/chat_pb.js";
import { HealthService } from "../../gen/tribe/v1/health_pb.js";
import { createHealth, type Health, type HealthOptions } from "../../src/health/health.ts";
import type { HealthCheck } from "../../src/health/checks.ts";
import { createHealthService } from "../../src/health/health.rpc.ts";
import { createServer, type ServerParts } from "../../src/server/server.ts";
import { createLogger } from "../../src/telemetry/logger.ts";

/** A line of the log, parsed. */
export type LogLine = Record<string, unknown> & { door?: string; rpc?: string; code?: string };

export interface Doors {
  httpUrl: string;
  grpcAddress: string;
  health: Health;
  /** What was logged, in order. */
  log: LogLine[];
  /** What reached the handlers, in order. */
  handled: string[];
  close(): Promise<void>;
}

export interface DoorsOptions {
  chat?: Partial<ServiceImpl<typeof ChatService>>;
  interceptors?: Interceptor[];
  checks?: HealthCheck[];
  health?: Partial<HealthOptions>;
  server?: Partial<ServerParts>;
}

/** Starts both doors on free ports of the loopback. */
export async function startDoors(options: DoorsOptions = {}): Promise<Doors> {
  const log: LogLine[] = [];
  const handled: string[] = [];
  const logger = createLogger({
    destination: { write: (line: string) => void log.push(JSON.parse(line) as LogLine) },
  });
  const health = createHealth({
    version: "0.0.0-test",
    checks: options.checks ?? [],
    intervalMs: 20,
    timeoutMs: 500,
    ...options.health,
  });
  await health.start();
  const chat: Partial<ServiceImpl<typeof ChatService>> = {
    sendMessage(request) {
      handled.push("SendMessage");
      return { model: request.model || "none", provider: "double", userMessage: {} };
    },
    async *streamMessage(request) {
      handled.push("StreamMessage");
      const count = Number(request.metadata["count"] ?? 3);
      for (let sequence = 1; sequence <= count; sequence += 1) {
        yield create(StreamMessageResponseSchema, {
          sequence: BigInt(sequence),
          event: { case: "textDelta", value: { text: `piece ${sequence}` } },
        });
      }
    },
    listModels() {
      handled.push("ListModels");
      return { models: [{ model: "double", provider: "double" }] };
    },
    ...options.chat,
  };
  const server = createServer({
    routes(router) {
      router.service(ChatService, chat);
      router.service(HealthService, createHealthService(health));
    },
    ...(options.interceptors ? { interceptors: options.interceptors } : {}),
    logger,
    readiness: health.readiness,
    host: "127.0.0.1",
    httpPort: 0,
    grpcPort: 0,
    drainMs: 200,
    ...options.server,
  });
  const { httpPort, grpcPort } = await server.listen();
  return {
    httpUrl: `http://127.0.0.1:${httpPort}`,
    grpcAddress: `127.0.0.1:${grpcPort}`,
    health,
    log,
    handled,
    async close() {
      health.drain();
      await server.close();
      health.stop();
    },
  };
}
