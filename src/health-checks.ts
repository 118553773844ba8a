/** What the service looks at to know how it stands. */
import { setTimeout } from "node:timers/promises";
import type { Chat } from "./chat/chat.ts";
import type { HealthCheck } from "./health/checks.ts";
import { createLimitsCheck } from "./limits/limits-check.ts";
import type { Limits } from "./limits/limits.ts";
import { lowestThreshold, type Overload } from "./limits/overload.ts";
import { pendingMigrations } from "./postgres/migrator.ts";
import type { Postgres } from "./postgres/postgres.ts";
import type { Replica } from "./postgres/replica-state.ts";
import type { Redis } from "./redis/redis.ts";
import type { HostMonitor } from "./telemetry/host.ts";

/** The parts that are looked at. */
export interface CheckedParts {
  postgres: Postgres;
  redis: Redis | undefined;
  limits: Limits;
  overload: Overload;
  host: Pick<HostMonitor, "read">;
  chat: Pick<Chat, "answersWaiting">;
}

/** Makes all checks. */
export function createHealthChecks(parts: CheckedParts): HealthCheck[] {
  const { postgres, redis, overload } = parts;
  return [
    {
      name: "postgres",
      essential: true,
      async check() {
        await postgres.ping();
        const { connections, idle, waiting, most } = postgres.pool();
        return { figures: { connections, idle, waiting, most } };
      },
    },
    {
      name: "load",
      essential: false,
      async check() {
        const { level, gauge } = overload.pressure();
        const figures = { pressure: level };
        if (level < lowestThreshold) return { figures };
        return { status: "degraded", message: `refuses calls: ${gauge?.name}`, figures };
      },
    },
    {
      name: "answers",
      essential: false,
      async check() {
        const waiting = parts.chat.answersWaiting();
        if (waiting === 0) return {};
        const message = "answers wait in memory for the database";
        return { status: "degraded", message, figures: { waiting } };
      },
    },
    ...postgres.replicas.map(createReplicaCheck),
    createMachineCheck(parts.host),
    createMigrationsCheck(() => pendingMigrations(postgres)),
    ...(redis ? [{ name: "redis", essential: false, check: () => redis.ping() }] : []),
    createLimitsCheck(parts.limits),
  ];
}

/** How old what a replica shows may be before it counts as degraded, seconds. */
const mostLagSeconds = 30;
const replicaTimeoutMs = 800;

function createReplicaCheck(replica: Replica): HealthCheck {
  return {
    name: `postgres:replica:${replica.name}`,
    essential: false,
    async check() {
      const { lagSeconds, isFollowing, ...pool } = await replica.look(replicaTimeoutMs);
      if (lagSeconds === undefined) {
        const message = "is no replica: it follows no primary";
        return { status: "degraded", message, figures: { ...pool } };
      }
      const figures = { lag_seconds: lagSeconds, ...pool };
      if (!isFollowing) {
        return { status: "degraded", message: "receives nothing from the primary", figures };
      }
      if (lagSeconds <= mostLagSeconds) return { figures };
      const message = `shows what was ${Math.round(lagSeconds)} s ago`;
      return { status: "degraded", message, figures };
    },
  };
}

/** Reading the list costs more than the other checks, and it changes only by hand. */
const migrationsEveryMs = 30_000;
/** While somebody may just be migrating. */
const pendingEveryMs = 2000;
/** How long a look waits for the list. */
const readMs = 500;

/**
 * Whether the database has the schema that this version was made for. Traffic waits for it: calls
 * would fail for what is not there, and a rolling update would replace instances that work.
 */
export function createMigrationsCheck(
  pending: () => Promise<readonly string[]>,
  now: () => number = () => performance.now(),
): HealthCheck {
  let lookedAt = -Infinity;
  let names: readonly string[] | undefined;
  let reading: Promise<void> | undefined;

  async function read(): Promise<void> {
    try {
      names = await pending();
      lookedAt = now();
    } catch {
      // Nothing is known anew. A database that is away is told of by its own check.
    } finally {
      reading = undefined;
    }
  }
  return {
    name: "migrations",
    essential: true,
    async check() {
      if (now() - lookedAt >= (names?.length ? pendingEveryMs : migrationsEveryMs)) {
        reading ??= read();
        // A slow database is no reason to take no traffic: what was known holds meanwhile.
        await Promise.race([reading, setTimeout(readMs, undefined, { ref: false })]);
      }
      if (names === undefined) {
        return { status: "degraded", message: "the migrations cannot be read" };
      }
      const figures = { pending: names.length };
      if (names.length === 0) return { figures };
      const notReady = "the database is not up to date";
      const message = `${notReady}, run \`npm run migrate\`: ${names.join(", ")}`;
      return { notReady, message, figures };
    },
  };
}

/** Less than this share of a disk or of the memory is too little. */
const leastShare = 0.05;

/** The machine: load, memory, disks and network. */
export function createMachineCheck(host: Pick<HostMonitor, "read">): HealthCheck {
  return {
    name: "machine",
    essential: false,
    async check() {
      const { cores, load, disks, network, ...memory } = host.read();
      const { memoryTotalBytes, memoryAvailableBytes } = memory;
      const figures: Record<string, number> = {
        cores,
        load,
        memory_total_bytes: memoryTotalBytes,
        memory_available_bytes: memoryAvailableBytes,
      };
      const short: string[] = [];
      if (memoryAvailableBytes < leastShare * memoryTotalBytes) short.push("memory");
      for (const { path, totalBytes, availableBytes } of disks) {
        figures[`disk_total_bytes:${path}`] = totalBytes;
        figures[`disk_available_bytes:${path}`] = availableBytes;
        if (availableBytes < leastShare * totalBytes) short.push(`the disk of ${path}`);
      }
      for (const { name, receivedBytes, sentBytes } of network) {
        figures[`network_received_bytes:${name}`] = receivedBytes;
        figures[`network_sent_bytes:${name}`] = sentBytes;
      }
      if (short.length === 0) return { figures };
      return { status: "degraded", message: `runs out: ${short.join(", ")}`, figures };
    },
  };
}
