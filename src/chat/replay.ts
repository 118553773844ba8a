import { setTimeout as delay } from "node:timers/promises";
import { DomainError, type ErrorCode } from "../errors.ts";
import type { ModelDelta } from "../providers/provider.ts";
import { createLiveRun, type LiveRun, type RunEvent } from "./run.ts";
import type { RunRepository, StoredRun } from "./run.repository.ts";

/** How often the database is asked about a run of another process, milliseconds. */
const pollMs = 250;

/**
 * A run that has ended, told again from what is stored, each part of the answer
 * as one piece. Who has had events already gets the last one only, with the
 * whole answer in it: where the pieces were cut is not stored.
 */
export function replayRun(stored: StoredRun, afterSequence: number): LiveRun {
  const run = createLiveRun(stored.runId, "", afterSequence);
  if (afterSequence === 0) {
    run.emit(startedEvent(stored));
    for (const delta of pieces(stored)) run.emit(delta);
  }
  run.emit(lastEvent(stored));
  return run;
}

/** A run that another process makes: its beginning now, the rest once it is stored. */
export function watchRun(
  stored: StoredRun,
  userId: string,
  repository: RunRepository,
  afterSequence: number,
): LiveRun {
  const run = createLiveRun(stored.runId, userId, afterSequence);
  if (afterSequence === 0) run.emit(startedEvent(stored));
  void follow();
  return run;

  async function follow(): Promise<void> {
    // A run ends in minutes, at the latest when it is settled as abandoned.
    for (let failures = 0; failures < 40;) {
      await delay(pollMs, undefined, { ref: false });
      try {
        const now = await repository.find(stored.runId, userId);
        if (!now) break;
        if (now.state === "running") continue;
        if (afterSequence === 0) for (const delta of pieces(now)) run.emit(delta);
        run.emit(lastEvent(now));
        return;
      } catch {
        failures++;
      }
    }
    run.emit(lastEvent({ ...stored, state: "interrupted", errorReason: "RUN_LOST" }));
  }
}

/** The first event of a stored run. */
function startedEvent({ runId, question, assistantMessageId }: StoredRun): RunEvent {
  return { type: "run_started", runId, userMessage: question, assistantMessageId };
}

function pieces({ answer }: StoredRun): ModelDelta[] {
  let toolCalls = 0;
  return (answer?.content ?? []).flatMap((part): ModelDelta[] => {
    if (part.type === "text" || part.type === "reasoning") return [part];
    return part.type === "tool_call" ? [{ ...part, index: toolCalls++ }] : [];
  });
}

function lastEvent(stored: StoredRun): RunEvent {
  const { runId, state, question, assistantMessageId } = stored;
  const answer = stored.answer ?? {
    ...question,
    messageId: assistantMessageId,
    parentMessageId: question.messageId,
    role: "assistant" as const,
    status: "interrupted" as const,
    content: [],
    sequence: question.sequence + 1,
    metadata: {},
  };
  const result = {
    runId,
    conversationId: question.conversationId,
    userMessage: question,
    assistantMessage: answer,
    cached: false,
  };
  if (state === "completed") return { type: "completed", result };
  const status = state === "running" ? "interrupted" : state;
  const reason = stored.errorReason ?? "RUN_INTERRUPTED";
  const message = stored.errorMessage ?? "the run was interrupted";
  return {
    type: "failed",
    status,
    error: new DomainError(codeOf(reason), reason, message),
    result,
  };
}

/** Only the reason is stored; it says the code. */
function codeOf(reason: string): ErrorCode {
  if (reason === "RUN_CANCELLED") return "CANCELLED";
  if (reason === "INTERNAL") return "INTERNAL";
  if (reason.endsWith("_TIMEOUT")) return "DEADLINE_EXCEEDED";
  if (reason.endsWith("_RATE_LIMITED")) return "RESOURCE_EXHAUSTED";
  if (reason === "PROVIDER_REJECTED_REQUEST" || reason === "CONTEXT_TOO_LONG") {
    return "INVALID_ARGUMENT";
  }
  return "UNAVAILABLE";
}
