/**
 * Reads on streaming replicas that see everything that was committed before they were asked for,
 * by whatever process. The primary says how far its log is, in a statement that costs it next to
 * nothing; a replica that has replayed as much may answer, one that has not within a moment may not.
 */
import { setTimeout } from "node:timers/promises";
import type { Statement } from "./pipeline.ts";

/** What we use of a replica's pool. */
export interface ReplicaPool {
  query(query: ReplicaQuery): Promise<{ rows: unknown[][] }>;
}

interface ReplicaQuery {
  name: string;
  text: string;
  values: unknown[];
  rowMode: "array";
  query_timeout: number;
}

export interface ReplicaParts<Pool> {
  /** One of them, by chance. */
  pick(): Promise<Pool>;
  /** How far the primary's log is. */
  position(): Promise<string>;
  /** Told when a replica is left alone for a while, and why. */
  warn(message: string): void;
}

/** Where the primary's log ends. */
export const logPosition: Statement = {
  name: "log_position",
  text: "select pg_current_wal_insert_lsn()",
};

/** A replica that was made a primary follows nobody, so it never has everything. */
const hasReplayed: Statement = {
  name: "has_replayed",
  text: "select pg_is_in_recovery() and pg_last_wal_replay_lsn() >= $1::pg_lsn",
};

/** How long a replica may lag before the primary is asked instead, and how often it is looked at. */
const patienceMs = 100;
const lookMs = 5;
/** How long a replica that failed is left alone, and how long it may take to say how far it is. */
const restMs = 5000;
const answerMs = 1000;

/**
 * Gives the function that finds a replica for a read: undefined when none has everything, or
 * none answers. Fails only as the primary fails.
 */
export function createReplicaChoice<Pool extends ReplicaPool>(parts: ReplicaParts<Pool>) {
  const restingUntil = new WeakMap<Pool, number>();

  function rest(pool: Pool, error: unknown): void {
    restingUntil.set(pool, performance.now() + restMs);
    parts.warn(`replica: ${error instanceof Error ? error.message : String(error)}`);
  }

  async function follows(pool: Pool, position: string): Promise<boolean> {
    const query: ReplicaQuery = {
      ...hasReplayed,
      values: [position],
      rowMode: "array",
      query_timeout: answerMs,
    };
    const end = performance.now() + patienceMs;
    for (;;) {
      const { rows } = await pool.query(query);
      if (rows[0]?.[0] === true) return true;
      if (performance.now() >= end) return false;
      await setTimeout(lookMs);
    }
  }

  return {
    /** A replica that has everything that is committed now. */
    async find(): Promise<Pool | undefined> {
      const pool = await parts.pick();
      if ((restingUntil.get(pool) ?? 0) > performance.now()) return undefined;
      const position = await parts.position();
      try {
        return (await follows(pool, position)) ? pool : undefined;
      } catch (error) {
        rest(pool, error);
        return undefined;
      }
    },
    rest,
  };
}
