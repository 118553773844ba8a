/** What the parts of the service tell of themselves at each scrape. */
import { RateClass } from "../gen/tribe/v1/policy_pb.js";
import type { Chat } from "./chat/chat.ts";
import type { Health } from "./health/health.ts";
import type { Limits } from "./limits/limits.ts";
import type { Overload } from "./limits/overload.ts";
import type { Postgres } from "./postgres/postgres.ts";
import type { Models } from "./providers/models.ts";
import type { Redis } from "./redis/redis.ts";
import type { ActiveUserCounter } from "./telemetry/active-users.store.ts";
import type { HostMonitor } from "./telemetry/host.ts";
import type { Metrics } from "./telemetry/metrics.ts";
import { addProcessMetrics } from "./telemetry/process-metrics.ts";

/** The parts that are looked at. */
export interface MeasuredParts {
  version: string;
  health: Health;
  chat: Pick<Chat, "answersWaiting">;
  models: Pick<Models, "deployments">;
  limits: Pick<Limits, "state">;
  overload: Overload;
  postgres: Pick<Postgres, "pool">;
  redis: Pick<Redis, "isReady" | "traffic"> | undefined;
  activeUsers: ActiveUserCounter | undefined;
  host: HostMonitor;
}

/** Adds all of them. */
export function addServiceMetrics(metrics: Metrics, parts: MeasuredParts): void {
  const { health, host } = parts;
  addProcessMetrics(metrics, {
    host: host.read,
    eventLoopDelayMs: () => health.figures().eventLoopDelayMs,
  });
  addHealth(metrics, parts);
  addLoad(metrics, parts);
  addEngines(metrics, parts);
  addDeployments(metrics, parts.models);
  if (parts.activeUsers) addActiveUsers(metrics, parts.activeUsers);
}

function addHealth(metrics: Metrics, { health, version }: MeasuredParts): void {
  metrics.gauge(
    "tribe_build_info",
    "1; the version that runs is its label",
    ["version"],
    (report) => report(1, version),
  );
  metrics.gauge("tribe_ready", "1 while traffic may come", [], (report) =>
    report(Number(health.report().notReady === undefined)),
  );
  const statuses = ["ok", "degraded", "down", "unknown"] as const;
  metrics.gauge(
    "tribe_component_status",
    "1 for the status that a part of the service has, 0 for the others",
    ["component", "status"],
    (report) => {
      for (const { name, status } of health.report().components) {
        for (const each of statuses) report(Number(each === status), name, each);
      }
    },
  );
  metrics.gauge(
    "tribe_component_check_duration_seconds",
    "How long the last check of a part took",
    ["component"],
    (report) => {
      for (const { name, latencyMs } of health.report().components) report(latencyMs / 1000, name);
    },
  );
}

function addLoad(metrics: Metrics, { health, chat, limits, overload }: MeasuredParts): void {
  metrics.gauge("tribe_calls_in_flight", "Calls being served", [], (report) =>
    report(health.figures().callsInFlight),
  );
  metrics.gauge("tribe_runs_in_flight", "Runs being generated", [], (report) =>
    report(health.figures().runsInFlight),
  );
  metrics.gauge("tribe_answers_waiting", "Answers that wait for the database", [], (report) =>
    report(chat.answersWaiting()),
  );
  metrics.gauge(
    "tribe_pressure_ratio",
    "How full the process is; from 0.6 on it refuses calls, the least important first",
    [],
    (report) => report(overload.pressure().level),
  );
  metrics.counterFrom(
    "tribe_overload_refusals",
    "Calls refused because the process was full",
    ["rate_class"],
    (report) => {
      const refused = overload.refused();
      for (const rateClass of shedClasses) {
        report(refused[rateClass] ?? 0, RateClass[rateClass].toLowerCase());
      }
    },
  );
  metrics.counterFrom(
    "tribe_limits_decisions",
    "Calls that were taken from the limits of their caller, by what came of it",
    ["decision"],
    (report) => {
      const { admitted, rejected } = limits.state().counters;
      report(admitted, "admitted");
      report(rejected, "rejected");
    },
  );
  metrics.gauge(
    "tribe_limits_alone",
    "1 while this process keeps the limits without Redis",
    [],
    (report) => report(Number(limits.state().mode === "alone")),
  );
}

/** Calls of other classes are never refused for want of room. */
const shedClasses = [
  RateClass.HEAVY,
  RateClass.READ,
  RateClass.WRITE,
  RateClass.AUTH,
  RateClass.CHAT,
] as const;

/** Names as https://opentelemetry.io/docs/specs/semconv/database/database-metrics/ has them. */
function addEngines(metrics: Metrics, { health, postgres, redis }: MeasuredParts): void {
  metrics.gauge(
    "db_client_connection_count",
    "Open connections to PostgreSQL",
    ["db_client_connection_pool_name", "db_client_connection_state"],
    (report) => {
      const { connections, idle } = postgres.pool();
      report(idle, "postgresql", "idle");
      report(connections - idle, "postgresql", "used");
      for (const { name, figures } of health.report().components) {
        if (!name.startsWith("postgres:replica:")) continue;
        const { connections = 0, idle = 0 } = figures;
        report(idle, name, "idle");
        report(connections - idle, name, "used");
      }
    },
  );
  metrics.gauge(
    "db_client_connection_max",
    "The most connections to PostgreSQL that there may be",
    ["db_client_connection_pool_name"],
    (report) => {
      report(postgres.pool().most, "postgresql");
      for (const { name, figures } of health.report().components) {
        const { most } = figures;
        if (name.startsWith("postgres:replica:") && most !== undefined) report(most, name);
      }
    },
  );
  metrics.gauge(
    "db_client_connection_pending_requests",
    "Calls that wait for a connection to PostgreSQL",
    ["db_client_connection_pool_name"],
    (report) => report(postgres.pool().waiting, "postgresql"),
  );
  metrics.gauge(
    "tribe_postgres_statements_under_way",
    "Statements of the hot path that have not ended",
    [],
    (report) => report(postgres.pool().underWay),
  );
  metrics.gauge(
    "tribe_postgres_replica_lag_seconds",
    "Age of what a read replica shows",
    ["replica"],
    (report) => {
      for (const { name, figures } of health.report().components) {
        const { lag_seconds: lag } = figures;
        if (lag !== undefined) report(lag, name.replace("postgres:replica:", ""));
      }
    },
  );
  metrics.gauge("tribe_migrations_pending", "Migrations that have not run", [], (report) => {
    const migrations = health.report().components.find(({ name }) => name === "migrations");
    report(migrations?.figures["pending"] ?? 0);
  });
  if (redis === undefined) return;
  metrics.gauge("tribe_redis_connected", "1 while there is a connection to Redis", [], (report) =>
    report(Number(redis.isReady())),
  );
  metrics.gauge("tribe_redis_commands_under_way", "Commands without answer yet", [], (report) =>
    report(redis.traffic().underWay),
  );
  metrics.counterFrom("tribe_redis_commands", "Commands for Redis", [], (report) =>
    report(redis.traffic().sent),
  );
  metrics.counterFrom(
    "tribe_redis_failed_commands",
    "Commands that Redis did not answer",
    [],
    (report) => report(redis.traffic().failed),
  );
}

function addDeployments(metrics: Metrics, models: Pick<Models, "deployments">): void {
  const labels = ["deployment", "provider", "model"];
  const states = ["closed", "half_open", "open"] as const;
  metrics.gauge(
    "tribe_circuit_state",
    "1 for the state that the circuit of a deployment has, 0 for the others",
    [...labels, "state"],
    (report) => {
      for (const { name, provider, model, circuit } of models.deployments()) {
        for (const state of states) report(Number(state === circuit), name, provider, model, state);
      }
    },
  );
  metrics.gauge(
    "tribe_deployment_enabled",
    "0 for deployments that an operator has switched off",
    labels,
    (report) => {
      for (const { name, provider, model, enabled } of models.deployments()) {
        report(Number(enabled), name, provider, model);
      }
    },
  );
}

function addActiveUsers(metrics: Metrics, activeUsers: ActiveUserCounter): void {
  metrics.beforeScrape(activeUsers.refresh);
  metrics.gauge(
    "tribe_active_users",
    "Different users who called lately, at all processes together; to within 1 %",
    ["window"],
    (report) => {
      for (const [window, users] of activeUsers.read()) report(users, window);
    },
  );
}
