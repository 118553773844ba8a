import { setTimeout as delay } from "node:timers/promises";
import { codeOfReason, DomainError, isErrorReason } from "../errors.ts";
import type { RunLog } from "./run-log.store.ts";
import { createLiveRun, type LiveRun, type RunEvent } from "./run.ts";
import type { RunRepository, StoredRun } from "./run.repository.ts";
import { piecesOf } from "./stored-answer.ts";

/** How often another process's run is looked at, milliseconds. */
const pollMs = 150;
/** After how many failures in a row a run is given up: about a minute of an absent database. */
const patience = 400;

/** Runs that are told from what is stored. */
export interface Replays {
  /**
   * A run that has ended, for a follower who has had events up to `afterSequence`.
   * With its log gone, a follower who has had no piece gets each part of the answer as
   * one piece, any other the last event only, with the whole answer in it.
   */
  replay(stored: StoredRun, afterSequence: number): Promise<LiveRun>;
  /**
   * A run that another process makes, piece by piece where there is a log. Until `signal` aborts:
   * each look asks the database, and clients on a bad line come and go often.
   */
  watch(stored: StoredRun, userId: string, afterSequence: number, signal: AbortSignal): LiveRun;
}

export function createReplays(repository: RunRepository, log: RunLog | undefined): Replays {
  /** Emits what the log has beyond `sequence`, without a gap; gives the sequence reached. */
  async function emitLogged(run: LiveRun, sequence: number): Promise<number> {
    // Redis may be away: the end of the run is told all the same.
    const logged = (await log?.read(run.runId, sequence).catch(() => [])) ?? [];
    for (const { sequence: next, delta } of logged) {
      if (next !== sequence + 1) break;
      run.emit(delta);
      sequence = next;
    }
    return sequence;
  }

  return {
    async replay(stored, afterSequence) {
      const run = createLiveRun(stored.runId, "", { before: afterSequence });
      if (afterSequence === 0) run.emit(startedEvent(stored));
      const reached = await emitLogged(run, Math.max(afterSequence, 1));
      emitParts(run, stored, reached);
      run.emit(lastEvent(stored));
      return run;
    },
    watch(stored, userId, afterSequence, signal) {
      const run = createLiveRun(stored.runId, userId, { before: afterSequence });
      if (afterSequence === 0) run.emit(startedEvent(stored));
      void follow();
      return run;

      async function follow(): Promise<void> {
        let reached = Math.max(afterSequence, 1);
        for (let failures = 0; failures < patience;) {
          await delay(pollMs, undefined, { ref: false });
          if (signal.aborted) return;
          try {
            // In this order: what was logged before the end is there when the end is seen.
            const now = await repository.find(stored.runId, userId);
            reached = await emitLogged(run, reached);
            failures = 0;
            if (!now) {
              run.emit(lastEvent({ ...stored, ...withdrawn }));
              return;
            }
            if (now.state === "running") continue;
            emitParts(run, now, reached);
            run.emit(lastEvent(now));
            return;
          } catch {
            failures++;
          }
        }
        run.emit(lastEvent({ ...stored, state: "interrupted", errorReason: "RUN_LOST" }));
      }
    },
  };
}

/** A run that is gone before it ended: its request was refused after all, or its conversation deleted. */
const withdrawn = {
  state: "interrupted",
  errorReason: "RUN_WITHDRAWN",
  errorMessage:
    "nothing is stored of this run: its request was refused, or its conversation deleted",
} as const;

/** Emits each part of the answer as one piece, for a follower who has had none. */
function emitParts(run: LiveRun, { answer }: StoredRun, reached: number): void {
  if (reached > 1) return;
  for (const delta of piecesOf(answer?.content ?? [])) run.emit(delta);
}

/** The first event of a stored run. */
function startedEvent({ runId, question, assistantMessageId }: StoredRun): RunEvent {
  return { type: "run_started", runId, userMessage: question, assistantMessageId };
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
  const { errorReason = "" } = stored;
  const reason = isErrorReason(errorReason) ? errorReason : "RUN_INTERRUPTED";
  const message = stored.errorMessage ?? "the run was interrupted";
  return {
    type: "failed",
    status,
    error: new DomainError(codeOfReason(reason), reason, message),
    result,
  };
}
