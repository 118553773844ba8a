import { setTimeout as delay } from "node:timers/promises";
import { DomainError } from "../errors.ts";
import type { TurnRepository, TurnSettlement } from "./turn.repository.ts";

/** How long an answer waits in memory for a database that is away, milliseconds. */
const patienceMs = 60_000;
const longestPauseMs = 2_000;

/** When the answer was stored, or why it was not. */
export interface Settled {
  time: Date;
  error: DomainError | undefined;
}

/**
 * Stores the end of a turn. The provider has been paid, so a database that is
 * away for a moment must not lose the answer: it is tried again, with growing
 * pauses, for a minute. Settling twice is harmless, so an attempt whose outcome is unknown is repeated too.
 */
export async function settlePatiently(
  repository: TurnRepository,
  settlement: TurnSettlement,
): Promise<Settled> {
  const deadline = Date.now() + patienceMs;
  for (let pauseMs = 50; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
    try {
      return { time: await repository.settle(settlement), error: undefined };
    } catch (cause) {
      const passing = cause instanceof DomainError && cause.code === "UNAVAILABLE";
      if (!passing || Date.now() + pauseMs > deadline) {
        const error = new DomainError(
          "UNAVAILABLE",
          "ANSWER_NOT_STORED",
          "the model answered, but the answer could not be stored",
          { cause },
        );
        return { time: new Date(), error };
      }
      await delay(pauseMs);
    }
  }
}
