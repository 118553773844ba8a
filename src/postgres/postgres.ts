import { setTimeout as delay } from "node:timers/promises";
import type { EntityManager, MikroORM } from "@mikro-orm/postgresql";
import { type PooledClient, queryUntilAborted } from "./cancel.ts";
import { isDatabaseUnavailable, throwDatabaseFailure } from "./failure.ts";
import type { PgClient } from "./lane.ts";
import { createOrm, type PostgresOptions, statementTimeoutOf } from "./orm.ts";
import { createReplicaChoice, logPosition } from "./replica.ts";
import { createPipeline, type Statement, type TextRow } from "./pipeline.ts";
import { watchPresence } from "./presence.ts";
import { currentSpan, inChild } from "../telemetry/span.ts";
import { createReplica, type Replica, type WatchedPool } from "./replica-state.ts";

export type { Statement, TextRow } from "./pipeline.ts";

/** How the connections stand. */
export interface PoolState {
  /** Open connections, without those of `run`. */
  connections: number;
  /** Of those, how many do nothing. */
  idle: number;
  /** Calls that wait for a connection. */
  waiting: number;
  /** The most connections that there may be. */
  most: number;
  /** Statements of `run` that have not ended. */
  underWay: number;
}

/** PostgreSQL, as repositories see it. Its absence is UNAVAILABLE `DATABASE_UNAVAILABLE`. */
export interface Postgres {
  readonly orm: MikroORM;
  /**
   * Runs a quick prepared statement, for the hot path: at a third less of our time than
   * `query`, on connections where a slow statement would hold up all others. Gives the
   * columns as the text that PostgreSQL writes.
   */
  run(statement: Statement, values: readonly unknown[]): Promise<TextRow[]>;
  /**
   * Runs any prepared statement in one round trip on the ORM's own connections, and
   * gives its rows as arrays of what pg makes of the columns. Cancelled at the server when
   * the signal aborts.
   */
  query<Row extends unknown[]>(
    statement: Statement,
    values: unknown[],
    signal?: AbortSignal,
  ): Promise<Row[]>;
  /**
   * Like `query`, for a statement that changes nothing: on a replica, if there is one that has
   * all that was committed before this call. So whoever has written reads it, from any process.
   */
  read<Row extends unknown[]>(
    statement: Statement,
    values: unknown[],
    signal?: AbortSignal,
  ): Promise<Row[]>;
  /** Runs a unit of work on an EntityManager of its own. */
  work<Result>(unit: (em: EntityManager) => Promise<Result>): Promise<Result>;
  /** Resolves when the primary answers within `timeoutMs` (default 1,000). */
  ping(timeoutMs?: number): Promise<void>;
  pool(): PoolState;
  /** The read replicas. */
  readonly replicas: readonly Replica[];
  /** Waits for statements under way and closes all connections. */
  close(): Promise<void>;
}

/** What we use of pg's Pool, which comes without types. */
interface Pool {
  readonly options: { readonly max: number };
  readonly Client: new (options: object) => PgClient;
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
  readonly ending: boolean;
  end(): Promise<void>;
  on(event: "connect" | "remove", listener: (client: PgClient) => void): unknown;
  on(event: "error", listener: (error: Error) => void): unknown;
  query(query: PoolQuery): Promise<PoolResult>;
  connect(): Promise<PooledClient<PoolQuery, PoolResult>>;
}

interface PoolQuery {
  name?: string;
  text: string;
  values?: unknown[];
  rowMode: "array";
  query_timeout?: number;
}

interface Asked {
  values: unknown[];
  signal: AbortSignal | undefined;
}

interface PoolResult {
  rows: unknown[][];
}

const cancelBackend: Statement = {
  name: "cancel_backend",
  text: "select pg_cancel_backend($1::int)",
};

/** How long closing waits for connections that are in use, milliseconds. */
const longestCloseMs = 10_000;

/** Opens the pool; connects when first used, so an absent server does not fail here. */
export async function createPostgres(options: PostgresOptions): Promise<Postgres> {
  const orm = createOrm(options);
  const connection = orm.em.getConnection("write");
  const pool = (await connection.getNativeClient()) as Pool;
  // A lane keeps the time itself: pg would arm a timer for each statement.
  const createClient = () => new pool.Client({ ...pool.options, pipeline: true, query_timeout: 0 });
  const pipeline = createPipeline({
    createClient,
    lanes: options.laneCount ?? 4,
    limit: 1000,
    timeoutMs: statementTimeoutOf(options) + 1000,
  });
  const clients = new Set<PgClient>();
  pool.on("connect", (client) => clients.add(client));
  pool.on("remove", (client) => clients.delete(client));
  const presence = watchPresence({
    createClient,
    timeoutMs: options.silenceMs ?? 3_000,
    onAway() {
      pipeline.giveUp();
      for (const client of clients) client.connection.stream.destroy();
    },
  });
  const cancel = (processId: number) => pipeline.query(cancelBackend, [processId]);

  // MikroORM keeps them in the order of the configuration, and gives any of them by chance only.
  const watchedReplicas = await Promise.all(
    orm.em.getDriver()["replicas"].map(async (replica, index) => {
      const watched = (await replica.getNativeClient()) as WatchedPool;
      watched.on("error", (error) => options.warn?.(`replica: ${error.message}`));
      return createReplica(options.replicaUrls?.[index] ?? "", watched);
    }),
  );

  /** Everything but the beat goes through here. `what`: how traces call it, never a value. */
  function ask<Result>(what: string, start: () => Promise<Result>): Promise<Result> {
    const refused = presence.refusal();
    if (refused !== undefined) return Promise.reject(refused);
    return traced(what, () => start().catch(throwDatabaseFailure));
  }

  async function query(from: Pool, { name, text }: Statement, given: Asked): Promise<unknown[][]> {
    const asked = { name, text, values: given.values, rowMode: "array" } as const;
    const { signal } = given;
    const { rows } =
      signal === undefined
        ? await from.query(asked)
        : await queryUntilAborted(await from.connect(), asked, signal, (processId) =>
            from === pool
              ? cancel(processId)
              : from.query({ ...cancelBackend, values: [processId], rowMode: "array" }),
          );
    return rows;
  }

  const replicaPools = new Set<Pool>();
  const replicas = createReplicaChoice<Pool>({
    async pick() {
      const picked = (await orm.em.getConnection("read").getNativeClient()) as Pool;
      if (!replicaPools.has(picked)) {
        // Without a listener a lost connection would end the process.
        picked.on("error", (error) => options.warn?.(`replica: ${error.message}`));
        replicaPools.add(picked);
      }
      return picked;
    },
    async position() {
      const [row] = await ask(logPosition.name, () => pipeline.query(logPosition, []));
      return row?.[0] ?? "";
    },
    warn: (message) => options.warn?.(message),
  });
  const hasReplicas = (options.replicaUrls ?? []).length > 0;

  async function endPools(): Promise<void> {
    await orm.close();
    // An ORM that was never asked itself leaves the pool open, and so the process running.
    for (const open of [pool, ...replicaPools]) if (!open.ending) await open.end();
  }

  return {
    orm,
    run: (statement, values) => ask(statement.name, () => pipeline.query(statement, values)),
    async query<Row extends unknown[]>(
      statement: Statement,
      values: unknown[],
      signal?: AbortSignal,
    ) {
      return (await ask(statement.name, () => query(pool, statement, { values, signal }))) as Row[];
    },
    async read<Row extends unknown[]>(
      statement: Statement,
      values: unknown[],
      signal?: AbortSignal,
    ) {
      const given = { values, signal };
      const replica = hasReplicas ? await replicas.find() : undefined;
      if (replica !== undefined) {
        try {
          const read = () => query(replica, statement, given);
          return (await traced(statement.name, read)) as Row[];
        } catch (error) {
          signal?.throwIfAborted();
          // Lost, or in conflict with what it replays: the primary has the last word.
          replicas.rest(replica, error);
        }
      }
      return (await ask(statement.name, () => query(pool, statement, given))) as Row[];
    },
    work: (unit) => ask("unit of work", () => unit(orm.em.fork())),
    async ping(timeoutMs = 1000) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<never>((_, reject) => {
        timer = setTimeout(() => reject(new Error("timeout expired")), timeoutMs);
      });
      const answer = pool.query({ text: "select 1", rowMode: "array", query_timeout: timeoutMs });
      try {
        await Promise.race([answer, late]);
      } catch (error) {
        throwDatabaseFailure(error);
      } finally {
        clearTimeout(timer);
        answer.catch(isDatabaseUnavailable);
      }
    },
    pool: () => ({
      connections: pool.totalCount,
      idle: pool.idleCount,
      waiting: pool.waitingCount,
      most: pool.options.max,
      underWay: pipeline.underWay,
    }),
    replicas: watchedReplicas,
    async close() {
      await presence.close();
      await pipeline.close();
      // A pool waits for each of its clients to be given back, also for one whose server is gone.
      const ended = new AbortController();
      const { signal } = ended;
      await Promise.race([endPools(), delay(longestCloseMs, undefined, { signal })]);
      ended.abort();
    },
  };
}

/** `what`: a statement's name or the like, never a value. */
function traced<Result>(what: string, work: () => Promise<Result>): Promise<Result> {
  const span = currentSpan();
  if (span === undefined) return work();
  const attributes = { "db.system.name": "postgresql", "db.query.summary": what };
  return inChild(span, `postgresql ${what}`, attributes, work);
}
