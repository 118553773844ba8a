/** A deployment while the process runs. */
import type { CatalogModel, Deployment } from "./catalog.ts";
import type { Circuit, CircuitView } from "./circuit.ts";
import type { Answerer } from "./model-answer.ts";
import type { ModelRequest, Provider } from "./provider.ts";

/** What an operator changes of a deployment at run time. */
export interface DeploymentAdjustment {
  /** Gets no calls. */
  disabled?: boolean;
  /** Instead of the configured one. */
  weight?: number;
}

/** How a deployment stands, for health and metrics. Known from the calls of callers only. */
export interface DeploymentState {
  name: string;
  provider: string;
  /** What callers call the model. */
  model: string;
  /** Whether it gets calls at all. */
  enabled: boolean;
  weight: number;
  order: number;
  circuit: CircuitView["state"];
  /** Since when the circuit is as it is. */
  since: Date;
  /** Reason of its last failure in this process; undefined: there was none. */
  lastErrorReason: string | undefined;
  /** When that was. */
  lastErrorTime: Date | undefined;
  /** Mean milliseconds to the first content of the last answers; undefined: there was none. */
  firstContentMs: number | undefined;
  /** Calls that succeeded, since the start. */
  succeeded: number;
  /** Calls that failed, since the start. */
  failed: number;
}

export interface LiveDeployment {
  readonly answerer: Answerer;
  readonly provider: Provider;
  readonly circuit: Circuit;
  readonly order: number;
  /** 0: it gets no calls. */
  readonly weight: number;
  /** The request as it is sent here. */
  upstream(request: ModelRequest): ModelRequest;
  /** What the operator says; undefined: nothing. */
  adjust(adjustment: DeploymentAdjustment | undefined): void;
  /** Remembers how a call went. `firstContentMs`: 0 when there was no content. */
  note(success: boolean, firstContentMs: number): void;
  state(): DeploymentState;
}

/** What a deployment is made of. */
export interface DeploymentParts {
  answerer: Answerer;
  deployment: Deployment;
  entry: CatalogModel;
  provider: Provider;
  circuit: Circuit;
}

/** How many latencies the mean is of. */
const LATENCIES = 16;

export function createDeployment(parts: DeploymentParts): LiveDeployment {
  const { answerer, deployment, entry, provider, circuit } = parts;
  const { model: upstreamModel, order = 0, weight: usualWeight = 1 } = deployment;
  // The Messages API must be told a limit, and the catalogue knows the model's own.
  const usualMaxOutputTokens =
    deployment.provider === "anthropic" ? entry.maxOutputTokens : undefined;
  const latencies = new Float64Array(LATENCIES);
  let latencyCount = 0;
  let succeeded = 0;
  let failed = 0;
  let enabled = true;
  let weight = usualWeight;

  return {
    answerer,
    provider,
    circuit,
    order,
    get weight() {
      return enabled ? weight : 0;
    },
    upstream(request) {
      const maxOutputTokens = request.maxOutputTokens ?? usualMaxOutputTokens;
      if (request.model === upstreamModel && request.maxOutputTokens === maxOutputTokens) {
        return request;
      }
      return maxOutputTokens === undefined
        ? { ...request, model: upstreamModel }
        : { ...request, model: upstreamModel, maxOutputTokens };
    },
    adjust(adjustment) {
      enabled = adjustment?.disabled !== true;
      weight = adjustment?.weight ?? usualWeight;
    },
    note(success, firstContentMs) {
      if (success) succeeded += 1;
      else failed += 1;
      if (firstContentMs > 0) latencies[latencyCount++ % LATENCIES] = firstContentMs;
    },
    state() {
      const { state, since, lastReason, lastFailureTime } = circuit.view();
      const count = Math.min(latencyCount, LATENCIES);
      return {
        name: answerer.deployment,
        provider: answerer.provider,
        model: answerer.model,
        enabled,
        weight,
        order,
        circuit: state,
        since,
        lastErrorReason: lastReason,
        lastErrorTime: lastFailureTime,
        firstContentMs:
          count === 0 ? undefined : latencies.reduce((sum, value) => sum + value, 0) / count,
        succeeded,
        failed,
      };
    },
  };
}
