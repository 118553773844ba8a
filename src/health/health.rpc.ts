/** HealthService: the health report in the contract's words. */
import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type { ServiceImpl } from "@connectrpc/connect";
import {
  CircuitState,
  ComponentHealthSchema,
  DegradationSchema,
  DeploymentHealthSchema,
  type HealthService,
  HealthStatus,
  ProcessHealthSchema,
} from "../../gen/tribe/v1/health_pb.js";
import { DomainError } from "../errors.ts";
import type { ComponentState, DeploymentFigures } from "./checks.ts";
import type { Health } from "./health.ts";

const statuses = {
  unknown: HealthStatus.UNSPECIFIED,
  ok: HealthStatus.OK,
  degraded: HealthStatus.DEGRADED,
  down: HealthStatus.DOWN,
};

const circuits = {
  closed: CircuitState.CLOSED,
  half_open: CircuitState.HALF_OPEN,
  open: CircuitState.OPEN,
};

/** When to ask again, in seconds. */
const retryAfterSeconds = 2;

/** Handlers of HealthService. All answer from memory. */
export function createHealthService(health: Health): ServiceImpl<typeof HealthService> {
  return {
    check() {
      const { status, version } = health.report();
      return { status: statuses[status], version };
    },
    ready() {
      const { status, notReady } = health.report();
      if (notReady !== undefined) {
        throw new DomainError("UNAVAILABLE", "NOT_READY", notReady, { retryAfterSeconds });
      }
      return { status: statuses[status] };
    },
    live() {
      return { status: HealthStatus.OK };
    },
    detailed() {
      const { status, version, uptimeSeconds, components } = health.report();
      const figures = health.figures();
      return {
        status: statuses[status],
        version,
        uptime: duration(uptimeSeconds * 1000),
        components: components.map(component),
        degraded: components.filter(isUnwell).map(degradation),
        process: create(ProcessHealthSchema, {
          cpuCores: figures.cpuCores,
          memoryBytes: BigInt(figures.memoryBytes),
          heapBytes: BigInt(figures.heapBytes),
          eventLoopDelay: duration(figures.eventLoopDelayMs),
          callsInFlight: figures.callsInFlight,
          runsInFlight: figures.runsInFlight,
        }),
      };
    },
  };
}

function component(state: ComponentState) {
  return create(ComponentHealthSchema, {
    name: state.name,
    status: statuses[state.status],
    essential: state.essential,
    message: state.message,
    since: timestampFromDate(state.since),
    latency: duration(state.latencyMs),
    figures: { ...state.figures },
    ...(state.deployment && { deployment: deployment(state.deployment) }),
  });
}

function isUnwell({ status }: ComponentState): boolean {
  return status === "degraded" || status === "down";
}

function degradation({ name, status, since, message }: ComponentState) {
  return create(DegradationSchema, {
    component: name,
    status: statuses[status],
    since: timestampFromDate(since),
    message,
  });
}

function deployment(figures: DeploymentFigures) {
  const { circuit, lastErrorTime, firstContentMs, succeeded, failed, ...rest } = figures;
  return create(DeploymentHealthSchema, {
    ...rest,
    circuit: circuits[circuit],
    ...(lastErrorTime && { lastErrorTime: timestampFromDate(lastErrorTime) }),
    ...(firstContentMs !== undefined && { firstContent: duration(firstContentMs) }),
    succeeded: BigInt(succeeded),
    failed: BigInt(failed),
  });
}

function duration(milliseconds: number): Duration {
  const seconds = Math.floor(milliseconds / 1000);
  const nanos = Math.floor((milliseconds - seconds * 1000) * 1e6);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos });
}
