import { setTimeout as delay } from "node:timers/promises";
import { DomainError } from "../errors.ts";
import { createTurnstile } from "../usage/turnstile.ts";
import type { TurnRepository, TurnSettlement } from "./turn.repository.ts";

/** How long an answer waits in memory for a database that is away, milliseconds. */
const patienceMs = 60_000;
const longestPauseMs = 2_000;
/** How many answers may wait; more are given up at once. Large answers are some 10 KB. */
const mostWaiting = 5_000;

/** How many openings are taken back at once: a crowd of refused turns leaves connections to others. */
const discardsAtOnce = 3;

/** When the answer was stored, or why it was not. */
export interface Settled {
  time: Date;
  error: DomainError | undefined;
}

/** Ends turns in a database that may be away for a moment. */
export interface Settler {
  /**
   * Stores the end of a turn. The provider has been paid, so a database that is away for
   * a moment must not lose the answer: it is tried again, with growing pauses, for a
   * minute. Settling twice is harmless, so an attempt whose outcome is unknown is
   * repeated too. `onWait` is told when it begins to wait. Never rejects.
   */
  settle(settlement: TurnSettlement, onWait?: () => void): Promise<Settled>;
  /** Takes an opening back, with the same patience but without being waited for: nothing was spent. */
  discard(runId: string): Promise<void>;
  /** How many ends of turns wait for the database. */
  waiting(): number;
}

export function createSettler(repository: TurnRepository): Settler {
  let waiting = 0;
  const discards = createTurnstile(discardsAtOnce);

  async function again<Result>(attempt: () => Promise<Result>, failure: unknown): Promise<Result> {
    const deadline = Date.now() + patienceMs;
    waiting += 1;
    try {
      for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
        const passing = failure instanceof DomainError && failure.code === "UNAVAILABLE";
        if (!passing || waiting > mostWaiting || Date.now() + pauseMs > deadline) throw failure;
        await delay(pauseMs);
        try {
          return await attempt();
        } catch (error) {
          failure = error;
        }
      }
    } finally {
      waiting -= 1;
    }
  }

  return {
    async settle(settlement, onWait) {
      const attempt = () => repository.settle(settlement);
      try {
        const time = await attempt().catch((error: unknown) => {
          onWait?.();
          return again(attempt, error);
        });
        return { time, error: undefined };
      } catch (cause) {
        const error = new DomainError(
          "UNAVAILABLE",
          "ANSWER_NOT_STORED",
          "the model answered, but the answer could not be stored",
          { cause },
        );
        return { time: new Date(), error };
      }
    },
    async discard(runId) {
      const attempt = () => discards.pass(runId, () => repository.discard(runId));
      // What nobody could take back for a minute ends as a run whose process died.
      await attempt().catch((error: unknown) => void again(attempt, error).catch(() => undefined));
    },
    waiting: () => waiting,
  };
}
