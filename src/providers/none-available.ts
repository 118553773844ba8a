import { DomainError, type ErrorReason, isErrorReason } from "../errors.ts";
import type { LiveDeployment } from "./deployment.ts";

/** What to wait when it is for a probe to say when things are well again, seconds. */
const PROBE_SECONDS = 5;

/** Whose fault it was; of any other reason, that it failed to answer. */
const faults: Partial<Record<ErrorReason, string>> = {
  PROVIDER_AUTHENTICATION_FAILED: "refused the operator's key",
  PROVIDER_QUOTA_EXHAUSTED: "found the operator's account used up",
  PROVIDER_RATE_LIMITED: "limited the rate of calls",
};

/** Says why nobody could be asked for a model, and when to try again. */
export function noneAvailable(route: {
  model: string;
  deployments: readonly LiveDeployment[];
}): DomainError {
  const { model } = route;
  const able = route.deployments.filter(({ weight }) => weight > 0);
  if (able.length === 0) {
    return new DomainError(
      "UNAVAILABLE",
      "PROVIDER_UNAVAILABLE",
      `all deployments of ${model} are switched off; choose another model`,
      { metadata: { model } },
    );
  }
  const soonest = able.reduce((one, other) =>
    other.circuit.availableInMs() < one.circuit.availableInMs() ? other : one,
  );
  const { provider, deployment } = soonest.answerer;
  const { lastReason = "" } = soonest.circuit.view();
  const reason = isErrorReason(lastReason) ? lastReason : "PROVIDER_UNAVAILABLE";
  const waitMs = soonest.circuit.availableInMs();
  return new DomainError(
    reason === "PROVIDER_RATE_LIMITED" ? "RESOURCE_EXHAUSTED" : "UNAVAILABLE",
    reason,
    `${provider} is left alone for a moment after it ${faults[reason] ?? "failed to answer"} for ${model}`,
    {
      metadata: { provider, model, deployment },
      retryAfterSeconds:
        waitMs === Infinity ? PROBE_SECONDS : Math.max(1, Math.ceil(waitMs / 1000)),
    },
  );
}
