import type { DerivedKey } from "../key-ring.ts";
import type { Postgres } from "../postgres/postgres.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createOutageLog } from "../telemetry/outage-log.ts";
import { extendChain } from "./chain.repository.ts";

/** What the chainer is made of. */
export interface ChainerParts {
  postgres: Postgres;
  keys: readonly [DerivedKey, ...DerivedKey[]];
  logger: Logger;
}

/**
 * Gives events their places in the chain, behind the back of those who write them: a chain that
 * every writer extended in its own transaction would let them commit only one after the other.
 */
export interface Chainer {
  /** Says that an event is being written: it gets its place in a moment. */
  nudge(): void;
  /**
   * Resolves when all events that were there have their places, or cannot get them because the
   * chain is damaged.
   */
  catchUp(): Promise<void>;
  start(): void;
  /** Gives what waits its place, if the database is there. */
  close(): Promise<void>;
}

/** Events of one moment share a transaction. */
const nudgeDelayMs = 100;
/** For events whose writer ended before it gave them their places. */
const intervalMs = 2000;

/** Works for one process; any number of them take turns. */
export function createChainer({ postgres, keys, logger }: ChainerParts): Chainer {
  let timer: NodeJS.Timeout | undefined;
  let interval: NodeJS.Timeout | undefined;
  let working: Promise<void> | undefined;
  let isClosed = false;

  const outage = createOutageLog(logger, {
    level: "error",
    begins: "the audit chain waits",
    ends: "the audit chain goes on",
  });
  async function extend(wait: boolean): Promise<void> {
    for (;;) {
      const count = await extendChain(postgres, keys, wait);
      outage.worked();
      if (count === "busy" || count === 0) return;
    }
  }
  function work(): Promise<void> {
    working ??= extend(false)
      .catch(outage.failed)
      .finally(() => (working = undefined));
    return working;
  }

  return {
    nudge() {
      if (timer !== undefined || isClosed) return;
      timer = setTimeout(() => {
        timer = undefined;
        void work();
      }, nudgeDelayMs);
      timer.unref();
    },
    catchUp: () => extend(true).catch(outage.failed),
    start() {
      interval ??= setInterval(work, intervalMs).unref();
    },
    async close() {
      isClosed = true;
      clearInterval(interval);
      clearTimeout(timer);
      await working;
      await work();
    },
  };
}
