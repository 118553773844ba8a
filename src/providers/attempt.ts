/** One call to one deployment, and what it says of the deployment. */
import { DomainError } from "../errors.ts";
import type { LiveDeployment } from "./deployment.ts";
import { judgeFailure, type Judgement } from "./judge-failure.ts";
import type { ModelRequest, ModelResult, ModelSink } from "./provider.ts";
import { answerInTime, type CallProgress, type ProviderTimeouts } from "./timeouts.ts";

/** How an attempt ended. */
export type Outcome = { deployment: LiveDeployment; progress: CallProgress } & (
  { result: ModelResult } | { result?: undefined; error: unknown; judgement: Judgement }
);

/** An attempt that failed. */
export type FailedOutcome = Outcome & { result?: undefined };

const STOPPED: Judgement = { next: "final", counts: false };

/** Asks, and notes on the deployment how it went. Never rejects. */
export async function attempt(
  deployment: LiveDeployment,
  request: ModelRequest,
  sink: ModelSink,
  signal: AbortSignal,
  timeouts: ProviderTimeouts,
): Promise<Outcome> {
  const { circuit } = deployment;
  const progress: CallProgress = { firstContentAt: 0, usage: undefined };
  const isProbe = circuit.begin();
  const begin = performance.now();
  try {
    const upstream = deployment.upstream(request);
    const result = await answerInTime(
      deployment.provider,
      upstream,
      sink,
      signal,
      timeouts,
      progress,
    );
    circuit.succeeded(isProbe);
    deployment.note(true, firstContentMs(progress, begin));
    return { deployment, progress, result };
  } catch (error) {
    // Whoever stops a call says nothing about who was called.
    if (signal.aborted) {
      circuit.ended(isProbe);
      return { deployment, progress, error, judgement: STOPPED };
    }
    const judgement = judgeFailure(error);
    if (judgement.counts) {
      const reason = error instanceof DomainError ? error.reason : "INTERNAL";
      const { pause } = judgement;
      deployment.note(false, firstContentMs(progress, begin));
      if (pause === undefined) circuit.failed(reason, isProbe);
      else circuit.leaveAlone(pause.forMs, reason, pause.needsProbe);
    } else if (error instanceof DomainError) {
      // It did answer, if only to say that the request is wrong.
      circuit.succeeded(isProbe);
    } else {
      circuit.ended(isProbe);
    }
    return { deployment, progress, error, judgement };
  }
}

function firstContentMs({ firstContentAt }: CallProgress, begin: number): number {
  return firstContentAt === 0 ? 0 : Math.max(firstContentAt - begin, 0.001);
}
