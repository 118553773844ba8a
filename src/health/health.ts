/** How the service stands: one source for its health RPCs, REST probes and grpc.health.v1. */
import type { Readiness } from "../rpc/grpc-health/readiness.ts";
import { type ComponentState, createChecks, type HealthCheck } from "./checks.ts";
import { createProcessMonitor, type ProcessFigures } from "./process-figures.ts";

export interface HealthOptions {
  /** Version of Tribe. */
  version: string;
  checks: readonly HealthCheck[];
  /** More parts, none of them essential, whose states are known without a check. */
  components?(): ComponentState[];
  /** Calls being served now. */
  callsInFlight?(): number;
  /** Runs being generated now. */
  runsInFlight?(): number;
  /** From one look to the next. Default: 1000. With the timeout it bounds how late a failure shows. */
  intervalMs?: number;
  /** A check that takes longer counts as down. Default: 900. */
  timeoutMs?: number;
}

/** What is known, from memory. */
export interface HealthReport {
  /** `down` if something essential is; `degraded` if anything is not `ok`. */
  status: "ok" | "degraded" | "down";
  /** Why it is not ready, in words; undefined when traffic may come. */
  notReady: string | undefined;
  version: string;
  uptimeSeconds: number;
  components: ComponentState[];
}

export interface Health {
  readonly readiness: Readiness;
  report(): HealthReport;
  /** Figures of the process, of calls and runs in flight. */
  figures(): ProcessFigures & { callsInFlight: number; runsInFlight: number };
  /** Begins the checks. Resolves after the first look, whatever it found. */
  start(): Promise<void>;
  /** From now on not ready: the process shuts down. */
  drain(): void;
  /** Ends the checks. */
  stop(): void;
}

/** Makes the health of the service. It is not ready before `start` and the first success. */
export function createHealth(options: HealthOptions): Health {
  const { version, intervalMs = 1000, timeoutMs = 900 } = options;
  const listeners = new Set<() => void>();
  const monitor = createProcessMonitor();
  let closing = false;

  function changed(): void {
    for (const listener of new Set(listeners)) listener();
  }
  const checks = createChecks({ checks: options.checks, intervalMs, timeoutMs, onChange: changed });

  function report(): HealthReport {
    const components = [...checks.states(), ...(options.components?.() ?? [])];
    const missing = components.find(({ essential, status }) => essential && !works(status));
    let notReady: string | undefined;
    if (closing) notReady = "the process is shutting down";
    else if (missing) notReady = missing.notReady ?? `${missing.name} does not answer`;
    const limping = components.some(({ status }) => status !== "ok");
    let status: HealthReport["status"] = limping ? "degraded" : "ok";
    if (missing) status = "down";
    return { status, notReady, version, uptimeSeconds: process.uptime(), components };
  }
  return {
    readiness: {
      isReady: () => report().notReady === undefined,
      isClosing: () => closing,
      onChange(listener) {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
    },
    report,
    figures: () => ({
      ...monitor.read(),
      callsInFlight: options.callsInFlight?.() ?? 0,
      runsInFlight: options.runsInFlight?.() ?? 0,
    }),
    start: () => checks.start(),
    drain() {
      if (closing) return;
      closing = true;
      changed();
    },
    stop() {
      checks.stop();
      monitor.stop();
    },
  };
}

function works(status: ComponentState["status"]): boolean {
  return status === "ok" || status === "degraded";
}
