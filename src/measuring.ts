/** Everything that measures, composed; or nothing, when METRICS_PORT is off. */
import type { Config } from "./config.ts";
import type { Redis } from "./redis/redis.ts";
import type { ServerParts } from "./server/server.ts";
import { addServiceMetrics, type MeasuredParts } from "./service-metrics.ts";
import { createActiveUsers } from "./telemetry/active-users.store.ts";
import type { Counters } from "./telemetry/counters.ts";
import { createHostMonitor, type HostMonitor } from "./telemetry/host.ts";
import { createMetrics, type Metrics } from "./telemetry/metrics.ts";

/** What measures. */
export interface Measuring {
  /** What counts seldom counts always. */
  readonly counters: Counters;
  /** For the way of a call; undefined when it is not measured. */
  readonly metrics: Metrics | undefined;
  readonly serverPart: ServerParts["metrics"];
  readonly host: HostMonitor;
  /** Looks at these parts at each scrape. */
  look(parts: Omit<MeasuredParts, "activeUsers" | "host">): void;
  start(): Promise<void>;
  /** Before Redis is closed. */
  close(): Promise<void>;
}

/** Composes it; nothing runs before `start`. */
export function createMeasuring(
  config: Pick<Config, "metrics" | "directory">,
  redis: Redis | undefined,
): Measuring {
  const metrics = createMetrics();
  const host = createHostMonitor([config.directory, process.cwd()]);
  const isMeasured = config.metrics !== undefined;
  const activeUsers = isMeasured && redis ? createActiveUsers(redis) : undefined;
  return {
    counters: metrics.counters,
    metrics: isMeasured ? metrics : undefined,
    serverPart: config.metrics && {
      metrics,
      port: config.metrics.port,
      noteUser: (userId) => activeUsers?.note(userId),
    },
    host,
    look(parts) {
      if (isMeasured) addServiceMetrics(metrics, { ...parts, activeUsers, host });
    },
    async start() {
      activeUsers?.start();
      await host.start();
    },
    async close() {
      host.stop();
      await activeUsers?.close();
    },
  };
}
