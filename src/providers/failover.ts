/**
 * How a model is asked although providers fail: choose a deployment, ask it; when
 * it fails, ask the others of the model; when all have failed, pause and ask once
 * more those that may be well again; then the models that stand in for this one.
 * All that only until the first piece has been sent: after it a failure stands.
 */
import type { FailedOutcome, Outcome } from "./attempt.ts";
import { tracedAttempt } from "./attempt-trace.ts";
import { chooseDeployment } from "./choose-deployment.ts";
import type { LiveDeployment } from "./deployment.ts";
import { canTake } from "./fallbacks.ts";
import { race } from "./hedge.ts";
import type { AnswerSink, ModelAnswer } from "./model-answer.ts";
import { noneAvailable } from "./none-available.ts";
import type { ModelRequest } from "./provider.ts";
import type { ProviderTimeouts } from "./timeouts.ts";

/** A model as it is asked: its deployments, and who stands in for it. */
export interface ModelRoute {
  readonly model: string;
  /** Sorted by order. */
  readonly deployments: readonly LiveDeployment[];
  readonly timeouts: ProviderTimeouts;
  /** Undefined: one at a time. */
  readonly hedgeAfterMs: number | undefined;
  /** Whether the deployments differ in what they can do, so that each must be checked. */
  readonly isMixed: boolean;
}

/** How patient the failover is. */
export interface FailoverPolicy {
  /** The most attempts for one answer, all models together. */
  maxAttempts: number;
  /** How often the deployments of one model are asked anew after a pause. */
  maxRetries: number;
  /** Full jitter: a pause is anything up to this, doubled with each round. Milliseconds. */
  backOffMs: number;
  /** The longest pause; a deployment that needs a longer one is given up. Milliseconds. */
  longestPauseMs: number;
  /** The same where another model stands in. Milliseconds. */
  longestPauseBeforeFallbackMs: number;
  /** 0 to 1. */
  random: () => number;
  /** Resolves after so many milliseconds; rejects with the signal's reason at once when it aborts. */
  pause: (milliseconds: number, signal: AbortSignal) => Promise<void>;
}

export const DEFAULT_FAILOVER: FailoverPolicy = {
  maxAttempts: 6,
  maxRetries: 2,
  backOffMs: 250,
  longestPauseMs: 10_000,
  longestPauseBeforeFallbackMs: 1_000,
  random: Math.random,
  pause,
};

/** What a failover needs to know of a route and a request. */
export interface FailoverParts {
  policy: FailoverPolicy;
  /** The routes that can answer the request in place of this one, the preferred one first. */
  fallbacksOf: (route: ModelRoute, request: ModelRequest, needsLarger: boolean) => ModelRoute[];
}

/** Asks a model. Rejects with the last failure, or with `signal.reason`. */
export type AnswerWithFailover = (
  route: ModelRoute,
  request: ModelRequest,
  sink: AnswerSink,
  signal: AbortSignal,
) => Promise<ModelAnswer>;

export function createFailover({ policy, fallbacksOf }: FailoverParts): AnswerWithFailover {
  const { random } = policy;

  return async function answer(requested, request, sink, signal) {
    signal.throwIfAborted();
    const deadline = performance.now() + requested.timeouts.totalMs;
    let route = requested;
    let fallbacks: ModelRoute[] | undefined;
    let attempts = 0;
    let retries = 0;
    let lastFailure: FailedOutcome | undefined;
    /** Asked in this round. */
    const tried = new Set<LiveDeployment>();
    /** Not to be asked again for this answer. */
    const refused = new Set<LiveDeployment>();
    const isExcluded = (deployment: LiveDeployment) =>
      tried.has(deployment) ||
      refused.has(deployment) ||
      (route.isMixed && !canTake(deployment, request));

    for (;;) {
      const deployment = chooseDeployment(route.deployments, isExcluded, random);
      if (deployment === undefined) {
        const pauseMs = pauseBeforeRetry();
        if (pauseMs !== undefined) {
          await policy.pause(pauseMs, signal);
          retries += 1;
          tried.clear();
        } else if (!goToFallback(false)) {
          throw lastFailure === undefined ? noneAvailable(requested) : lastFailure.error;
        }
        continue;
      }

      const outcomes = await ask(deployment);
      const last = outcomes.at(-1)!;
      if (last.result !== undefined) return toAnswer(last);
      const { error, judgement } = last;
      signal.throwIfAborted();
      lastFailure = last;
      const hasBegun = last.progress.firstContentAt !== 0;
      if (hasBegun || judgement.next === "final" || attempts >= policy.maxAttempts) throw error;
      if (judgement.next === "larger_model") {
        if (!goToFallback(true)) throw error;
      }
      // Whoever is asked now has a bill of its own: what this one had spent is told apart.
      if (last.progress.usage !== undefined) {
        sink.spent?.(last.deployment.answerer, last.progress.usage, false);
      }
    }

    /** Asks one deployment, or two in a race. The outcome that counts is the last one. */
    async function ask(deployment: LiveDeployment): Promise<Outcome[]> {
      const timeouts = attempts === 0 ? route.timeouts : remaining(route.timeouts, deadline);
      const { hedgeAfterMs } = route;
      let outcomes: Outcome[];
      if (hedgeAfterMs === undefined) {
        sink.asked?.(deployment.answerer);
        outcomes = [await tracedAttempt(deployment, request, sink, signal, timeouts)];
      } else {
        const chooseSecond = () =>
          chooseDeployment(
            route.deployments,
            (other) => other === deployment || isExcluded(other),
            random,
          );
        const contest = { request, sink, signal, timeouts, hedgeAfterMs, chooseSecond };
        outcomes = await race(deployment, contest);
      }
      for (const outcome of outcomes) {
        attempts += 1;
        if (outcome.result !== undefined) {
          sink.attempted?.(outcome.deployment.answerer, undefined);
          continue;
        }
        sink.attempted?.(outcome.deployment.answerer, outcome.error);
        tried.add(outcome.deployment);
        if (outcome.judgement.next !== "again") refused.add(outcome.deployment);
      }
      return outcomes;
    }

    /** How long to wait before the deployments are asked once more; undefined: that is no use. */
    function pauseBeforeRetry(): number | undefined {
      if (retries >= policy.maxRetries) return undefined;
      let soonest = Infinity;
      for (const deployment of route.deployments) {
        if (deployment.weight === 0 || refused.has(deployment)) continue;
        if (route.isMixed && !canTake(deployment, request)) continue;
        soonest = Math.min(soonest, deployment.circuit.availableInMs());
      }
      // Everybody at once after a pause would be the next overload.
      const jitter = random() * policy.backOffMs * 2 ** retries;
      const wait = soonest + jitter;
      fallbacks ??= fallbacksOf(requested, request, false);
      const longest =
        fallbacks.length > 0 ? policy.longestPauseBeforeFallbackMs : policy.longestPauseMs;
      return wait <= longest && performance.now() + wait < deadline ? wait : undefined;
    }

    /** Goes on with the next model that stands in. False: there is none. */
    function goToFallback(needsLarger: boolean): boolean {
      if (needsLarger) fallbacks = fallbacksOf(requested, request, true);
      fallbacks ??= fallbacksOf(requested, request, false);
      const next = fallbacks.shift();
      if (next === undefined) return false;
      route = next;
      retries = 0;
      tried.clear();
      return true;
    }
  };
}

function remaining(timeouts: ProviderTimeouts, deadline: number): ProviderTimeouts {
  const left = Math.max(1, deadline - performance.now());
  return { ...timeouts, totalMs: Math.min(timeouts.totalMs, left) };
}

function toAnswer({ deployment, result }: Outcome & { result: object }): ModelAnswer {
  const { model, provider, deployment: name, price, priceVersion } = deployment.answerer;
  return {
    model,
    provider,
    deployment: name,
    price,
    priceVersion,
    finishReason: result.finishReason,
    usage: result.usage,
    upstreamModel: result.model,
  };
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal.reason);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", stop, { once: true });
    if (signal.aborted) stop();
  });
}
