/** How far a read replica is behind its primary, and how its connections stand. */
import type { Statement } from "./pipeline.ts";

/** A replica at one moment. */
export interface ReplicaState {
  /** Seconds that what it shows is old. Undefined: it is a primary itself. */
  lagSeconds: number | undefined;
  /** Whether it receives what the primary writes. Without that it falls behind. */
  isFollowing: boolean;
  connections: number;
  idle: number;
  waiting: number;
  /** The most connections that there may be. */
  most: number;
}

/** A read replica of DATABASE_REPLICA_URLS. */
export interface Replica {
  /** Its address, `host:port`. */
  readonly name: string;
  /** Asks it. Rejects when it does not answer within `timeoutMs`. */
  look(timeoutMs: number): Promise<ReplicaState>;
}

/** What we use of the replica's pool. */
export interface WatchedPool {
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
  readonly options: { readonly max: number };
  on(event: "error", listener: (error: Error) => void): unknown;
  query(query: {
    name?: string;
    text: string;
    rowMode: "array";
    query_timeout?: number;
  }): Promise<{ rows: unknown[][] }>;
}

/**
 * While the primary writes nothing, the last transaction grows old without anything being missing:
 * what was received and shown is compared first. That says nothing when nothing is received.
 */
const lag: Statement = {
  name: "replica_lag",
  text: `
    select
      case
        when not pg_is_in_recovery() then null
        when exists (select from pg_stat_wal_receiver)
          and pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
        else coalesce(extract(epoch from clock_timestamp() - pg_last_xact_replay_timestamp()), 0)
      end::float8,
      exists (select from pg_stat_wal_receiver)`,
};

/** A replica behind a pool of connections, which connects when first asked. */
export function createReplica(url: string, pool: WatchedPool): Replica {
  const { hostname, port } = new URL(url);
  return {
    name: `${hostname}:${port || "5432"}`,
    async look(timeoutMs) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(reject, timeoutMs, new Error(`no answer within ${timeoutMs} ms`));
      });
      const answer = pool.query({ ...lag, rowMode: "array", query_timeout: timeoutMs });
      // Whoever is late may still fail, and nobody hears it.
      answer.catch(() => undefined);
      try {
        const { rows } = await Promise.race([answer, late]);
        const [lagSeconds, isFollowing] = rows[0] as [number | null, boolean];
        return {
          lagSeconds: lagSeconds ?? undefined,
          isFollowing,
          connections: pool.totalCount,
          idle: pool.idleCount,
          waiting: pool.waitingCount,
          most: pool.options.max,
        };
      } finally {
        clearTimeout(timer);
      }
    },
  };
}
