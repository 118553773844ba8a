import { unavailable } from "../errors.ts";
import type { RunLog } from "./run-log.store.ts";
import { createLiveRun, type LiveRun } from "./run.ts";

/** How many ended runs stay in memory for followers that come back, where Redis does not have their pieces. */
const keptEndedRuns = 256;

/** The runs that this process makes, and the last ones that it made. */
export interface Runs {
  /**
   * Throws UNAVAILABLE once the drain stops what runs: who asks is told before anything is stored.
   * Until then also calls are taken that had come in just before the doors were closed.
   */
  admit(): void;
  /** Makes a run and lets `generate` fill it, which must not reject. Nobody waits for it here. */
  start(runId: string, userId: string, generate: (run: LiveRun) => Promise<void>): LiveRun;
  /** A run of this user, while it lives; one that nobody else could tell again a little longer. */
  find(runId: string, userId: string): LiveRun | undefined;
  /** The runs that have been generated for longer than this. */
  olderThan(ageMs: number): string[];
  /** How many are being generated now. */
  inFlight(): number;
  /**
   * Waits for the runs to end, at most `limitMs` and until `hurry` aborts; then stops the rest as
   * interrupted. Until `lastCall` resolves, calls that are under way may begin more.
   */
  drain(limitMs: number, hurry?: AbortSignal, lastCall?: Promise<unknown>): Promise<void>;
}

/**
 * Emptied when they leave their map: V8 chains the tables that a busy Map has outgrown, and an old
 * one would keep alive what all later ones held until the next full collection.
 */
interface Kept {
  run: LiveRun | undefined;
}
interface Generating extends Kept {
  generated: Promise<void> | undefined;
  readonly since: number;
}

export function createRuns(log?: RunLog): Runs {
  // A Map keeps the order of insertion: the first key is the oldest.
  const generating = new Map<string, Generating>();
  const ended = new Map<string, Kept>();

  function retire(run: LiveRun): void {
    const entry = generating.get(run.runId);
    generating.delete(run.runId);
    if (entry !== undefined) entry.run = entry.generated = undefined;
    if (!run.isNeeded()) return;
    ended.set(run.runId, { run });
    if (ended.size <= keptEndedRuns) return;
    for (const [oldest, kept] of ended) {
      ended.delete(oldest);
      kept.run = undefined;
      return;
    }
  }

  let interrupting = false;
  function interruptAll(): void {
    interrupting = true;
    for (const { run } of generating.values()) run?.stop("interrupted");
  }

  async function untilNoneIsLeft(): Promise<void> {
    while (generating.size > 0) {
      await Promise.all([...generating.values()].map(({ generated }) => generated));
    }
  }

  return {
    admit() {
      if (interrupting)
        throw unavailable("SHUTTING_DOWN", "the server is shutting down; try again");
    },
    start(runId, userId, generate) {
      const run = createLiveRun(runId, userId, { log: log?.writer(runId) });
      const generated = generate(run).finally(() => retire(run));
      generating.set(runId, { run, generated, since: performance.now() });
      // Admitted before the drain, opened after its end.
      if (interrupting) run.stop("interrupted");
      return run;
    },
    find(runId, userId) {
      const run = generating.get(runId)?.run ?? ended.get(runId)?.run;
      return run?.userId === userId ? run : undefined;
    },
    olderThan(ageMs) {
      const limit = performance.now() - ageMs;
      const runIds: string[] = [];
      // In the order in which they began: the first young one ends the search.
      for (const [runId, { since }] of generating) {
        if (since > limit) break;
        runIds.push(runId);
      }
      return runIds;
    },
    inFlight: () => generating.size,
    async drain(limitMs, hurry, lastCall) {
      const timer = setTimeout(interruptAll, limitMs);
      if (hurry?.aborted) interruptAll();
      else hurry?.addEventListener("abort", interruptAll);
      await untilNoneIsLeft();
      await lastCall;
      await untilNoneIsLeft();
      clearTimeout(timer);
      hurry?.removeEventListener("abort", interruptAll);
    },
  };
}
