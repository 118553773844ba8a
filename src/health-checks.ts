/** What the service looks at to know how it stands. */
import type { Chat } from "./chat/chat.ts";
import type { HealthCheck } from "./health/checks.ts";
import { createLimitsCheck } from "./limits/limits-check.ts";
import type { Limits } from "./limits/limits.ts";
import { lowestThreshold, type Overload } from "./limits/overload.ts";
import type { Postgres } from "./postgres/postgres.ts";
import type { Redis } from "./redis/redis.ts";

/** The parts that are looked at. */
export interface CheckedParts {
  postgres: Postgres;
  redis: Redis | undefined;
  limits: Limits;
  overload: Overload;
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
        const { connections, idle, waiting } = postgres.pool();
        return { figures: { connections, idle, waiting } };
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
    ...(redis ? [{ name: "redis", essential: false, check: () => redis.ping() }] : []),
    createLimitsCheck(parts.limits),
  ];
}
