/** Asks a second deployment too when the first is slow; whoever sends a piece first gives the answer. */
import type { Outcome } from "./attempt.ts";
import { tracedAttempt } from "./attempt-trace.ts";
import type { LiveDeployment } from "./deployment.ts";
import type { AnswerSink } from "./model-answer.ts";
import type { ModelRequest, TokenUsage } from "./provider.ts";
import type { ProviderTimeouts } from "./timeouts.ts";
import { estimateContentTokens, estimateTokens } from "./tokens.ts";

/** What both are asked, and when the second is. */
export interface Contest {
  request: ModelRequest;
  sink: AnswerSink;
  signal: AbortSignal;
  timeouts: ProviderTimeouts;
  hedgeAfterMs: number;
  /** Who else may be asked now; undefined: nobody. */
  chooseSecond: () => LiveDeployment | undefined;
}

interface Contender {
  readonly deployment: LiveDeployment;
  readonly controller: AbortController;
  usage: TokenUsage | undefined;
  outcome: Promise<Outcome>;
}

/** Why the loser's call ends. */
const LOST = "another deployment answered first";

/**
 * Gives the outcomes of those who were asked; the one that counts is the last.
 * What the loser had spent is told to the sink: as its provider told it, or at
 * least the estimated input, because it was asked in earnest.
 */
export async function race(first: LiveDeployment, contest: Contest): Promise<Outcome[]> {
  const { request, sink, signal, timeouts, hedgeAfterMs, chooseSecond } = contest;
  const contenders: Contender[] = [];
  let winner: Contender | undefined;

  function win(contender: Contender): void {
    winner = contender;
    clearTimeout(timer);
    if (contender !== contenders[0]) sink.asked?.(contender.deployment.answerer);
    if (contender.usage !== undefined) sink.usage(contender.usage);
    for (const other of contenders) if (other !== contender) other.controller.abort(LOST);
  }
  function enter(deployment: LiveDeployment): Contender {
    const contender: Contender = {
      deployment,
      controller: new AbortController(),
      usage: undefined,
      outcome: Promise.resolve() as never,
    };
    contenders.push(contender);
    contender.outcome = tracedAttempt(
      deployment,
      request,
      {
        delta(delta) {
          if (winner === undefined) win(contender);
          if (winner === contender) sink.delta(delta);
        },
        usage(usage) {
          contender.usage = usage;
          if (winner === contender) sink.usage(usage);
        },
      },
      contender.controller.signal,
      timeouts,
    );
    return contender;
  }
  function stopAll(): void {
    for (const { controller } of contenders) controller.abort(signal.reason);
  }

  const secondEntered = Promise.withResolvers<void>();
  const timer = setTimeout(() => {
    const second = winner === undefined ? chooseSecond() : undefined;
    if (second !== undefined) enter(second);
    secondEntered.resolve();
  }, hedgeAfterMs);
  signal.addEventListener("abort", stopAll);
  try {
    sink.asked?.(first.answerer);
    const { outcome } = enter(first);
    // A first that fails early is a failure like any other: nobody is raced then.
    await Promise.race([outcome, secondEntered.promise]);
    clearTimeout(timer);
    const outcomes = await allOutcomes(contenders, () => winner, win);
    const deciding = winner ?? contenders.at(-1)!;
    for (const contender of contenders) {
      if (contender === deciding) continue;
      // Stopped by us, it was at work; failed by itself, it costs what it said and no more.
      const wasStopped = contender.controller.signal.aborted;
      const { usage, deployment } = contender;
      if (usage !== undefined) sink.spent?.(deployment.answerer, usage, false);
      else if (wasStopped) sink.spent?.(deployment.answerer, estimatedInput(request), true);
    }
    if (winner === undefined) {
      // All failed: the failure is the last one's, and so is the bill.
      if (deciding !== contenders[0]) sink.asked?.(deciding.deployment.answerer);
      if (deciding.usage !== undefined) sink.usage(deciding.usage);
    }
    return outcomes.sort(
      (one, other) =>
        Number(one.deployment === deciding.deployment) -
        Number(other.deployment === deciding.deployment),
    );
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", stopAll);
  }
}

/** Waits for all; an answer without any piece wins as well. */
function allOutcomes(
  contenders: readonly Contender[],
  winner: () => Contender | undefined,
  win: (contender: Contender) => void,
): Promise<Outcome[]> {
  return Promise.all(
    contenders.map(async (contender) => {
      const outcome = await contender.outcome;
      if (outcome.result !== undefined && winner() === undefined) win(contender);
      return outcome;
    }),
  );
}

function estimatedInput({ system, messages }: ModelRequest): TokenUsage {
  let inputTokens = system === undefined ? 0 : estimateTokens(system);
  for (const { content } of messages) inputTokens += estimateContentTokens(content);
  return {
    inputTokens,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
  };
}
