import { renewLeaseOf, takeLeaseOf } from "./postgres/lease.ts";
import type { Postgres } from "./postgres/postgres.ts";
import type { Logger } from "./telemetry/logger.ts";

/** Work that is done again and again, by one process at a time. */
export interface DutyParts {
  /** Unique among all duties. */
  name: string;
  /** From one beginning to the next, over all processes. */
  everyMs: number;
  /** Long work calls `goOn` between its pieces, and stops when it says no. */
  work(goOn: () => Promise<boolean>): Promise<void>;
  postgres: Postgres;
  logger: Logger;
}

/** Done from `start` on, until it is closed. */
export interface Duty {
  start(): void;
  /** Resolves when what is under way has come to the end of a piece. */
  close(): Promise<void>;
}

/** Asks for the lease of a duty now and then, and does it when it gets it. */
export function createDuty({ name, everyMs, work, postgres, logger }: DutyParts): Duty {
  let timer: NodeJS.Timeout | undefined;
  let working: Promise<void> | undefined;
  let isClosed = false;

  async function goOn(): Promise<boolean> {
    if (!isClosed) await renewLeaseOf(postgres, name, everyMs);
    return !isClosed;
  }
  async function attempt(): Promise<void> {
    try {
      if (await takeLeaseOf(postgres, name, everyMs)) await work(goOn);
    } catch (error) {
      logger.warn({ err: error, duty: name }, "a duty is done later");
    }
  }
  return {
    start() {
      // Asked more often than it is done: whoever had it may have died.
      const askMs = Math.max(1000, everyMs / 4);
      timer ??= setInterval(() => {
        working ??= attempt().finally(() => (working = undefined));
      }, askMs).unref();
    },
    async close() {
      isClosed = true;
      clearInterval(timer);
      await working;
    },
  };
}
