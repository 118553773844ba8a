import { randomUUIDv7 } from "node:crypto";
import { inject } from "vitest";
import { entities } from "../../src/entities.ts";
import type { PostgresOptions } from "../../src/postgres/orm.ts";
import { createPostgres, type Postgres } from "../../src/postgres/postgres.ts";

/** A database of its own, with all migrations done. */
export interface TestDatabase {
  /** Its `DATABASE_URL`. */
  url: string;
  postgres: Postgres;
  /** Makes a user who may own conversations, and gives the id. */
  createUser(): Promise<string>;
  /** Runs any SQL and gives its rows. */
  sql<Row = Record<string, unknown>>(text: string, values?: unknown[]): Promise<Row[]>;
  /** Closes the connections and drops the database. */
  close(): Promise<void>;
}

/** Makes a migrated database; `close` it in `afterAll`. */
export async function createDatabase(
  options: Partial<PostgresOptions> = {},
): Promise<TestDatabase> {
  const server = inject("postgresUrl");
  const name = `test_${randomUUIDv7().replaceAll("-", "")}`;
  await administer(server, `create database ${name} template template_tribe`);
  const url = `${server}/${name}`;
  const postgres = await createPostgres({ url, entities, ...options });
  const sql = <Row>(text: string, values: unknown[] = []) =>
    postgres.work((em) => em.execute<Row[]>(text, values));
  return {
    url,
    postgres,
    sql,
    async createUser() {
      const id = randomUUIDv7();
      await sql("insert into users (id, role) values (?, 'user')", [id]);
      return id;
    },
    async close() {
      await postgres.close();
      await administer(server, `drop database ${name} with (force)`);
    },
  };
}

async function administer(server: string, statement: string) {
  const postgres = await createPostgres({ url: `${server}/postgres`, entities, poolSize: 1 });
  await postgres.work((em) => em.execute(statement));
  await postgres.close();
}
