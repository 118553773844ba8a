import type { EntityManager, MikroORM } from "@mikro-orm/postgresql";
import { isDatabaseUnavailable, throwDatabaseFailure } from "./failure.ts";
import { createOrm, type PostgresOptions } from "./orm.ts";

/** A statement that PostgreSQL parses once for each connection. */
export interface Statement {
  /** Unique among all statements. */
  readonly name: string;
  readonly text: string;
}

/** How the pool of connections stands. */
export interface PoolState {
  /** Open connections. */
  connections: number;
  /** Of those, how many do nothing. */
  idle: number;
  /** Calls that wait for a connection. */
  waiting: number;
}

/** PostgreSQL, as repositories see it. Its absence is UNAVAILABLE `DATABASE_UNAVAILABLE`. */
export interface Postgres {
  readonly orm: MikroORM;
  /**
   * Runs one prepared statement in one round trip on the ORM's own connections, and
   * gives its rows as arrays of what pg makes of the columns. For the hot path.
   */
  query<Row extends unknown[]>(statement: Statement, values: unknown[]): Promise<Row[]>;
  /** Runs a unit of work on an EntityManager of its own. */
  work<Result>(unit: (em: EntityManager) => Promise<Result>): Promise<Result>;
  /** Resolves when the primary answers within `timeoutMs` (default 1,000). */
  ping(timeoutMs?: number): Promise<void>;
  pool(): PoolState;
  /** Waits for statements under way and closes all connections. */
  close(): Promise<void>;
}

/** What we use of pg's Pool, which comes without types. */
interface Pool {
  readonly totalCount: number;
  readonly idleCount: number;
  readonly waitingCount: number;
  query(query: {
    name?: string;
    text: string;
    values?: unknown[];
    rowMode: "array";
    query_timeout?: number;
  }): Promise<{ rows: unknown[][] }>;
}

/** Opens the pool; connects when first used, so an absent server does not fail here. */
export async function createPostgres(options: PostgresOptions): Promise<Postgres> {
  const orm = createOrm(options);
  const connection = orm.em.getConnection("write");
  const pool = (await connection.getNativeClient()) as Pool;

  return {
    orm,
    query<Row extends unknown[]>({ name, text }: Statement, values: unknown[]) {
      return pool
        .query({ name, text, values, rowMode: "array" })
        .then((result) => result.rows as Row[], throwDatabaseFailure);
    },
    work: (unit) => unit(orm.em.fork()).catch(throwDatabaseFailure),
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
    }),
    close: () => orm.close(),
  };
}
