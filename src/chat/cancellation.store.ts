import type { Redis } from "../redis/redis.ts";
import type { Runs } from "./runs.ts";

const channel = "tribe:cancel";

/** Reaches the process that generates a run, whichever it is. */
export interface Cancellation {
  /** Asks for a run to be stopped. The caller has been found to be its owner. */
  cancel(runId: string, userId: string): Promise<void>;
}

/** Without Redis there are only this process's own runs. */
export function createCancellation(runs: Runs, redis: Redis | undefined): Cancellation {
  redis?.subscribe(channel, (message) => {
    const [runId = "", userId = ""] = message.split(" ");
    runs.find(runId, userId)?.stop("cancelled");
  });
  return {
    async cancel(runId, userId) {
      const live = runs.find(runId, userId);
      if (live) live.stop("cancelled");
      else await redis?.publish(channel, `${runId} ${userId}`);
    },
  };
}
