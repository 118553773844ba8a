/**
 * The pieces of runs in Redis, so that any process can tell a run on to a client
 * that comes back, and so that what a dead process had generated is not lost.
 *
 * Only pieces are here: a run's question and its end are in the database. A run
 * is one stream `tribe:run:{id}`; an entry holds the pieces of one batch and has
 * the sequence of the last of them as its id.
 */
import { setTimeout as delay } from "node:timers/promises";
import type { ModelDelta } from "../providers/provider.ts";
import type { Redis } from "../redis/redis.ts";
import { plainVault, type Vault } from "../conversations/vault.ts";

/** How long pieces wait for company before they are written, milliseconds. Most runs that nobody follows end before. */
const batchMs = 200;
/** How long the end of a run waits for Redis at most, milliseconds. */
const patienceMs = 100;
/** How long a run can be followed after its first piece; longer than a run may live. */
const expireSeconds = 20 * 60;
/** The most batches that are kept; at five a second more than a run may last. */
const longestLog = 20_000;

/** A piece and its place in the run. */
export interface LoggedDelta {
  sequence: number;
  delta: ModelDelta;
}

/** Writes the pieces of one run, beside it: nothing ever waits for Redis here. */
export interface RunLogWriter {
  append(sequence: number, delta: ModelDelta): void;
  /**
   * Writes what is left, and says when it is there, or that Redis takes too long. Unless it is
   * needed, a short run is not written at all, it is in the database: undefined.
   */
  end(needed: boolean): Promise<void> | undefined;
  /** Whether all pieces so far are there: then any process can tell them. */
  isWhole(): boolean;
}

export interface RunLog {
  writer(runId: string): RunLogWriter;
  /** The pieces after `afterSequence` that have been written. */
  read(runId: string, afterSequence: number): Promise<LoggedDelta[]>;
  /** Removes the pieces of a run, and whatever of it is still on its way. */
  remove(runId: string): Promise<void>;
}

export function createRunLog(redis: Redis, vault: Vault = plainVault): RunLog {
  async function write(
    runId: string,
    lastSequence: number,
    batch: ModelDelta[],
    first: boolean,
  ): Promise<void> {
    const key = keyOf(runId);
    const json = JSON.stringify(batch);
    const entry = ["e", vault.text(json, "run/log", `${runId}/${lastSequence}`)];
    const trim = ["MAXLEN", "~", String(longestLog)];
    const written = redis.command(key, ["XADD", key, ...trim, `0-${lastSequence}`, ...entry]);
    if (!first) return void (await written);
    // At once, so that no process can end between the two: the pieces would never expire.
    const expiring = redis.command(key, ["EXPIRE", key, String(expireSeconds)]);
    await Promise.all([written, expiring]);
  }

  return {
    writer(runId) {
      let batch: ModelDelta[] = [];
      let lastSequence = 0;
      let timer: NodeJS.Timeout | undefined;
      let written = false;
      // A gap would be worse than an end: after a failure nothing more of this run is written.
      let broken = false;
      let underWay = 0;
      // The latest batch; those before it are on the same connection.
      let writing: Promise<void> | undefined;

      function flush(): void {
        timer = undefined;
        if (batch.length === 0 || broken) return;
        const pieces = batch;
        batch = [];
        const first = !written;
        written = true;
        underWay += 1;
        writing = write(runId, lastSequence, pieces, first).then(
          () => void (underWay -= 1),
          () => void (broken = true),
        );
      }
      return {
        append(sequence, delta) {
          batch.push(delta);
          lastSequence = sequence;
          timer ??= setTimeout(flush, batchMs);
        },
        end(needed) {
          clearTimeout(timer);
          if (written || needed) flush();
          if (writing === undefined || broken) return undefined;
          const late = delay(patienceMs, undefined, { ref: false });
          return Promise.race([writing, late]);
        },
        isWhole: () => written && !broken && underWay === 0 && batch.length === 0,
      };
    },
    async remove(runId) {
      const key = keyOf(runId);
      // A text in its place: a piece that comes late finds no stream to begin anew, without end.
      await redis.command(key, ["SET", key, "", "EX", String(expireSeconds)]);
    },
    async read(runId, afterSequence) {
      const key = keyOf(runId);
      const reply = await redis.command<[string, [string, string]][]>(key, [
        "XRANGE",
        key,
        `(0-${afterSequence}`,
        "+",
      ]);
      return reply.flatMap(([id, [, text]]) => {
        const last = id.slice(2);
        const json = vault.fromText(text, "run/log", `${runId}/${last}`);
        const batch = JSON.parse(json) as ModelDelta[];
        const first = Number(last) - batch.length + 1;
        return batch
          .map((delta, index) => ({ sequence: first + index, delta }))
          .filter(({ sequence }) => sequence > afterSequence);
      });
    },
  };
}

/** The braces make one hash tag of it, so that all of a run's keys are on one node of a cluster. */
function keyOf(runId: string): string {
  return `tribe:run:{${runId}}`;
}
