import type { DomainError } from "../errors.ts";
import type { ModelDelta } from "../providers/provider.ts";
import type { StoredMessage } from "../conversations/message.ts";
import type { RunLogWriter } from "./run-log.store.ts";
import type { TurnResult } from "./turn-result.ts";

/** What happens in a run, in order. The last event is `completed` or `failed`. */
export type RunEvent =
  | { type: "run_started"; runId: string; userMessage: StoredMessage; assistantMessageId: string }
  | ModelDelta
  | { type: "completed"; result: TurnResult }
  | {
      type: "failed";
      status: "failed" | "cancelled" | "interrupted";
      error: DomainError;
      result: TurnResult;
    };

/** Why a run's signal aborts. */
export type StopReason = "cancelled" | "interrupted" | "budget";

/**
 * One generation while this process makes it. Its events stay in memory in
 * order, so that any number of followers may come, go and come back; the event
 * at index i has sequence i + 1 (after those of before). A follower that reads slowly never slows the run.
 */
export interface LiveRun {
  readonly runId: string;
  readonly userId: string;
  /** Aborts when the run is stopped, never because a caller left. Its reason is a StopReason. */
  readonly signal: AbortSignal;
  /** Stops the run; what had arrived is kept. */
  stop(reason: StopReason): void;
  emit(event: RunEvent): void;
  /**
   * No more pieces will come: writes those that are not in the log yet. To be waited for before the
   * run's end is stored, so that whoever sees the end elsewhere sees all pieces before it.
   */
  endLog(): Promise<void> | undefined;
  /** The end cannot be stored now: writes what `endLog` left to the database, in case this process dies. */
  keepLog(): void;
  /** The last event, once it happened. */
  readonly ended: Promise<RunEvent & { type: "completed" | "failed" }>;
  /**
   * Whether nobody else can tell how it ended, or the rest of its events to somebody who was told
   * the first ones.
   */
  isNeeded(): boolean;
  /** The events after `afterSequence`, then those to come, up to the last one, which everybody gets. */
  follow(afterSequence: number, signal: AbortSignal): AsyncGenerator<RunEvent>;
}

/**
 * Makes a run without events. `before` is how many events its followers have
 * already had from elsewhere: the next one has the sequence after that. `log`
 * gets the pieces, for followers at other processes.
 */
export function createLiveRun(
  runId: string,
  userId: string,
  { before = 0, log }: { before?: number; log?: RunLogWriter | undefined } = {},
): LiveRun {
  const events: RunEvent[] = [];
  const controller = new AbortController();
  const ended = Promise.withResolvers<RunEvent & { type: "completed" | "failed" }>();
  let over = false;
  let isStored = true;
  let followed = false;
  let isLogEnded = false;
  // Shared by all followers that have read everything; made anew after each wake-up.
  let news: PromiseWithResolvers<void> | undefined;
  function wakeFollowers(): void {
    news?.resolve();
    news = undefined;
  }

  return {
    runId,
    userId,
    signal: controller.signal,
    stop(reason) {
      if (!over) controller.abort(reason);
    },
    emit(event) {
      events.push(event);
      if (event.type === "completed" || event.type === "failed") {
        over = true;
        isStored = event.type === "completed" || event.error.reason !== "ANSWER_NOT_STORED";
        ended.resolve(event);
      } else if (event.type !== "run_started") {
        log?.append(before + events.length, event);
      }
      wakeFollowers();
    },
    endLog() {
      isLogEnded = true;
      return log?.end(followed);
    },
    keepLog: () => void log?.end(true),
    isNeeded: () => !isStored || (followed && !log?.isWhole()),
    ended: ended.promise,
    async *follow(afterSequence, signal) {
      // Whoever hears the first pieces here may want the rest of them elsewhere.
      if (isLogEnded && !followed) void log?.end(true);
      followed = true;
      signal.addEventListener("abort", wakeFollowers);
      try {
        let next = Math.max(0, afterSequence - before);
        for (;;) {
          // The last event is told even to who has had it: a stream without one was cut.
          if (over) next = Math.min(next, events.length - 1);
          while (next < events.length) {
            if (signal.aborted) return;
            yield events[next++]!;
          }
          if (over || signal.aborted) return;
          news ??= Promise.withResolvers<void>();
          await news.promise;
        }
      } finally {
        signal.removeEventListener("abort", wakeFollowers);
      }
    },
  };
}
