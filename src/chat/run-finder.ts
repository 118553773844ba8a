import { DomainError } from "../errors.ts";
import type { Caller } from "../identity/caller.ts";
import type { Replays } from "./replay.ts";
import type { LiveRun } from "./run.ts";
import type { RunRepository, StoredRun } from "./run.repository.ts";
import type { Runs } from "./runs.ts";
import type { TurnRequest } from "./turn-request.ts";

/** Finds runs again. */
export interface RunFinder {
  /**
   * The run that this request began before, for a retry with the same idempotency
   * key, for a caller who listens until `signal` aborts. Throws IDEMPOTENCY_KEY_REUSED when the
   * key came with another request.
   */
  findEarlier(
    request: TurnRequest,
    caller: Caller,
    signal: AbortSignal,
  ): Promise<LiveRun | undefined>;
  /**
   * A run of the caller, wherever it is made and however long ago, for a follower that has had
   * events and listens until `signal` aborts.
   */
  find(
    runId: string,
    caller: Caller,
    afterSequence: number,
    signal: AbortSignal,
  ): Promise<LiveRun | undefined>;
}

export function createRunFinder(
  repository: RunRepository,
  runs: Runs,
  replays: Replays,
): RunFinder {
  /** A run of this process tells its own events; others are told from what is stored. */
  async function attach(
    stored: StoredRun,
    { userId }: Caller,
    afterSequence: number,
    signal: AbortSignal,
  ): Promise<LiveRun> {
    const live = runs.find(stored.runId, userId);
    if (live) return live;
    if (stored.state === "running") return replays.watch(stored, userId, afterSequence, signal);
    return replays.replay(stored, afterSequence);
  }

  return {
    async findEarlier({ idempotencyKey, requestHash }, caller, signal) {
      if (idempotencyKey === undefined) return undefined;
      const stored = await repository.findByIdempotencyKey(caller.userId, idempotencyKey);
      if (!stored) return undefined;
      if (!repository.isOfRequest(stored, requestHash)) {
        throw new DomainError(
          "ALREADY_EXISTS",
          "IDEMPOTENCY_KEY_REUSED",
          "idempotencyKey: was used for a different request; use a new key for a new request",
          {
            fields: [{ field: "idempotencyKey", description: "must be new for a new request" }],
            metadata: { runId: stored.runId },
          },
        );
      }
      return attach(stored, caller, 0, signal);
    },
    async find(runId, caller, afterSequence, signal) {
      const live = runs.find(runId, caller.userId);
      if (live) return live;
      const stored = await repository.find(runId, caller.userId);
      return stored && attach(stored, caller, afterSequence, signal);
    },
  };
}
