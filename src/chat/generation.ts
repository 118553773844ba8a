import type { StoredMessage } from "../conversations/message.ts";
import { DomainError } from "../errors.ts";
import type { Caller } from "../identity/caller.ts";
import type { ContentPart } from "../providers/content.ts";
import type { Answerer, AnswerSink } from "../providers/model-answer.ts";
import type { ModelChoice, Models } from "../providers/models.ts";
import type { ModelRequest, TokenUsage } from "../providers/provider.ts";
import { estimateContentTokens, estimateRequestTokens } from "../providers/tokens.ts";
import type { Reservation } from "../usage/reservation.ts";
import { createAnswer } from "./answer.ts";
import type { CacheEntry } from "./answer-cache.ts";
import { createAnswerAccount } from "./answer-account.ts";
import type { LiveRun } from "./run.ts";
import type { RunMetrics } from "./run-metrics.ts";
import type { Settler } from "./settle.ts";
import { tellAgain } from "./stored-answer.ts";
import type { TurnRequest } from "./turn-request.ts";
import type { OpenedTurn, TurnSettlement } from "./turn.repository.ts";

/** Everything that an opened turn is. */
export interface GenerationInput {
  runId: string;
  userMessageId: string;
  assistantMessageId: string;
  caller: Caller;
  request: TurnRequest;
  choice: ModelChoice;
  question: { content: ContentPart[]; tokens: number };
  opened: OpenedTurn;
  modelRequest: ModelRequest;
  cache: CacheEntry;
  /** What the run may spend; undefined when no budget limits it. */
  reservation: Reservation | undefined;
}

/** How a generation broke off. */
interface Failure {
  status: "failed" | "cancelled" | "interrupted";
  error: DomainError;
}

/** Fills a run: asks the model, stores what it said, and tells the run's followers. Never rejects. */
export type Generate = (run: LiveRun, input: GenerationInput) => Promise<void>;

export interface GenerationParts {
  models: Models;
  settler: Settler;
  /** Told of every run that did not complete, for the log: the run outlives the request that began it. */
  onFailure: (error: DomainError, runId: string) => void;
  /** Told of every call to a deployment; `error`: what it failed with. */
  onAttempt: (answerer: Answerer, error: unknown, runId: string) => void;
  /** Measures runs. Default: nobody. */
  metrics?: Pick<RunMetrics, "ended"> | undefined;
}

/** How an answer ends that may be given again. */
const wholeReasons: ReadonlySet<string> = new Set(["stop", "tool_calls"]);

export function createGenerate(parts: GenerationParts): Generate {
  const { models, settler, onFailure, onAttempt, metrics } = parts;
  return async function generate(run, input) {
    const { choice, modelRequest, cache, reservation } = input;
    const threadId = input.opened.conversationId;
    const startedAt = performance.now();
    let firstContentAt = 0;
    const userMessage = storedQuestion(input);
    run.emit({
      type: "run_started",
      runId: run.runId,
      userMessage,
      assistantMessageId: input.assistantMessageId,
    });

    const answer = createAnswer();
    const account = createAnswerAccount(choice);
    let stored: StoredMessage | undefined;
    let isOverBudget = false;
    const sink: Required<AnswerSink> = {
      delta(delta) {
        // What was paid before is free.
        if (reservation && !stored && (isOverBudget ||= !reservation.take(delta))) {
          run.stop("budget");
          return;
        }
        if (firstContentAt === 0) firstContentAt = performance.now();
        answer.add(delta);
        run.emit(delta);
      },
      usage: account.usage,
      asked(answerer) {
        account.asked(answerer);
        reservation?.asked(answerer);
      },
      spent(answerer, usage, isEstimate) {
        account.spent(answerer, usage, isEstimate);
        reservation?.spent(answerer, usage);
      },
      attempted(answerer, error) {
        account.attempted(answerer, error);
        onAttempt(answerer, error, run.runId);
      },
    };
    let failure: Failure | undefined;
    let finishReason: TurnSettlement["finishReason"];
    try {
      stored = await cache.answer(run.signal);
      const result = stored
        ? tellAgain(stored, choice, sink)
        : await models.answer(choice, { ...modelRequest, threadId }, sink, run.signal);
      if (result.usage) account.usage(result.usage);
      const wasCut = isOverBudget || (reservation?.isCut && result.finishReason === "length");
      finishReason = wasCut ? "budget" : result.finishReason;
    } catch (error) {
      if (isOverBudget && run.signal.reason === "budget") {
        finishReason = "budget";
      } else {
        failure = explain(run, error);
        onFailure(failure.error, run.runId);
        finishReason = failure.status === "cancelled" ? "cancelled" : "error";
      }
    }

    const endedAt = performance.now();
    const produced = answer.content();
    const isWhole = !failure && !isOverBudget;
    const content = isWhole ? produced : answer.partialContent();
    const tokens = estimateContentTokens(content);
    const wasAsked =
      produced.length > 0 || (account.attempts() > 0 && mayHaveBeenBilled(failure?.error));
    const settlement: TurnSettlement = {
      ...account.bill(isWhole, () => estimatedUsage(input, produced, wasAsked)),
      isReserved: reservation !== undefined,
      runId: input.runId,
      conversationId: input.opened.conversationId,
      userId: input.caller.userId,
      apiKeyId: input.caller.apiKeyId,
      userMessageId: input.userMessageId,
      assistantMessageId: input.assistantMessageId,
      sequence: input.opened.sequence + 1,
      status: failure?.status ?? "completed",
      content,
      tokens,
      finishReason,
      errorReason: failure?.error.reason,
      errorMessage: failure?.error.message,
    };
    metrics?.ended({
      settlement,
      isCached: stored !== undefined,
      startedAt,
      firstContentAt,
      endedAt,
    });
    const logged = run.endLog();
    if (logged !== undefined) await logged;
    const settled = await settler.settle(settlement, run.keepLog);
    cache.end(!failure && !settled.error && wholeReasons.has(finishReason));
    const result = {
      runId: run.runId,
      conversationId: userMessage.conversationId,
      userMessage,
      cached: stored !== undefined,
      assistantMessage: storedAnswer(settlement, settled.time),
      attempts: account.attempts(),
    };
    if (settled.error) {
      onFailure(settled.error, run.runId);
      run.emit({ type: "failed", status: "interrupted", error: settled.error, result });
    } else if (failure) {
      run.emit({ type: "failed", ...failure, result });
    } else {
      run.emit({ type: "completed", result });
    }
  };
}

/** Why a generation broke off: somebody stopped the run, or the provider failed. */
function explain(run: LiveRun, error: unknown): Failure {
  if (run.signal.aborted) {
    return run.signal.reason === "cancelled"
      ? {
          status: "cancelled",
          error: new DomainError("CANCELLED", "RUN_CANCELLED", "the run was cancelled"),
        }
      : {
          status: "interrupted",
          error: new DomainError(
            "UNAVAILABLE",
            "RUN_INTERRUPTED",
            "the server is shutting down; send the message again",
            { cause: error },
          ),
        };
  }
  if (error instanceof DomainError) return { status: "failed", error };
  return {
    status: "failed",
    error: new DomainError("INTERNAL", "INTERNAL", "internal error", { cause: error }),
  };
}

/** Whether a provider that gave no piece of an answer may have worked on one: it was not its own refusal. */
function mayHaveBeenBilled(error: DomainError | undefined): boolean {
  return (
    error === undefined || error.reason.startsWith("RUN_") || error.code === "DEADLINE_EXCEEDED"
  );
}

/** Some compatible servers never say what was used, and a provider that broke off had no time to. */
function estimatedUsage(
  { modelRequest, reservation }: GenerationInput,
  produced: readonly ContentPart[],
  wasAsked: boolean,
): TokenUsage {
  return {
    inputTokens: wasAsked ? estimateRequestTokens(modelRequest) : 0,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    // As counted against the budget, if there is one: so it never costs more than was reserved.
    outputTokens:
      reservation?.outputTokens() ?? (produced.length > 0 ? estimateContentTokens(produced) : 0),
    reasoningTokens: 0,
  };
}

function storedQuestion(input: GenerationInput): StoredMessage {
  const { request, question, opened } = input;
  return {
    messageId: input.userMessageId,
    conversationId: opened.conversationId,
    parentMessageId: opened.parentMessageId,
    role: "user",
    status: "completed",
    content: question.content,
    sequence: opened.sequence,
    createTime: opened.createTime,
    metadata: request.metadata,
    answer: undefined,
  };
}

function storedAnswer(settlement: TurnSettlement, createTime: Date): StoredMessage {
  const { runId, model, provider, finishReason, usage, costMicros } = settlement;
  return {
    messageId: settlement.assistantMessageId,
    conversationId: settlement.conversationId,
    parentMessageId: settlement.userMessageId,
    role: "assistant",
    status: settlement.status,
    content: settlement.content,
    sequence: settlement.sequence,
    createTime,
    metadata: {},
    answer: { runId, model, provider, finishReason, usage, costMicros },
  };
}
