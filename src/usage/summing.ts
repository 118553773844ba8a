import type { Logger } from "../telemetry/logger.ts";

/** Adds new rows of the ledger to its sums, in the background. */
export interface Summing {
  start(): void;
  /** Ends after the batch that is under way. */
  close(): Promise<void>;
}

/** What it is made of. */
export interface SummingParts {
  /** Adds one batch; says whether there may be more. */
  addSome(): Promise<boolean>;
  logger: Logger;
}

/**
 * Until they are summed, rows of the ledger are read one by one: the interval bounds how many
 * those are, and nothing else, since no answer waits for it.
 */
const intervalMs = 1000;

/** Every process does so; the database lets one at a time. */
export function createSumming({ addSome, logger }: SummingParts): Summing {
  let timer: NodeJS.Timeout | undefined;
  let batch: Promise<void> | undefined;

  async function addAll() {
    try {
      for (;;) {
        const mayBeMore = await addSome();
        if (!mayBeMore || timer === undefined) return;
      }
    } catch (error) {
      logger.debug({ err: error }, "could not sum the ledger; trying again");
    } finally {
      batch = undefined;
    }
  }
  return {
    start() {
      timer ??= setInterval(() => (batch ??= addAll()), intervalMs).unref();
    },
    async close() {
      clearInterval(timer);
      timer = undefined;
      await batch;
    },
  };
}
