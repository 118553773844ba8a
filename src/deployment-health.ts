import type { ComponentState } from "./health/checks.ts";
import type { DeploymentState } from "./providers/deployment.ts";

/** A deployment as a part in health: known from the calls of callers, never by a call of its own. */
export function deploymentComponent(state: DeploymentState): ComponentState {
  const { name, circuit, enabled, lastErrorReason, firstContentMs = 0 } = state;
  const isWell = !enabled || circuit === "closed";
  const { provider, model, lastErrorTime, succeeded, failed } = state;
  return {
    name: `deployment:${name}`,
    essential: false,
    status: isWell ? "ok" : "degraded",
    message: messageOf(enabled, circuit, lastErrorReason),
    since: state.since,
    latencyMs: firstContentMs,
    figures: {
      weight: enabled ? state.weight : 0,
      order: state.order,
      succeeded,
      failed,
    },
    deployment: {
      provider,
      model,
      enabled,
      circuit,
      lastError: lastErrorReason ?? "",
      lastErrorTime,
      firstContentMs: state.firstContentMs,
      succeeded,
      failed,
    },
  };
}

function messageOf(
  enabled: boolean,
  circuit: DeploymentState["circuit"],
  lastErrorReason: string | undefined,
): string {
  if (!enabled) return "switched off";
  if (circuit === "closed") return "";
  const what = circuit === "open" ? "is left alone" : "is tried with one call";
  return `${what} after ${lastErrorReason ?? "failures"}`;
}
