import type { Logger } from "../telemetry/logger.ts";
import type { RunRepository } from "./run.repository.ts";

/** Longer than any run may take with its settling, so nobody's living run is swept. */
const abandonedAfterMs = 15 * 60_000;
const sweepEveryMs = 60_000;

/** Settles the runs of processes that died. */
export interface Sweeper {
  stop(): void;
}

/** Looks every minute, from now on. Any number of processes may do so at once. */
export function createSweeper(repository: RunRepository, logger: Logger): Sweeper {
  async function sweep(): Promise<void> {
    try {
      const runIds = await repository.settleAbandoned(abandonedAfterMs);
      for (const runId of runIds) logger.warn({ runId }, "settled a run whose process died");
    } catch (error) {
      logger.debug({ err: error }, "could not look for abandoned runs; trying again");
    }
  }
  const timer = setInterval(() => void sweep(), sweepEveryMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
