/** A service on a database that is older than it. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { entities } from "../../src/entities.ts";
import { createPostgres, type Postgres } from "../../src/postgres/postgres.ts";
import { startApp } from "../support/app.ts";
import { until } from "../support/eventually.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";

let database: TestDatabase;
let postgres: Postgres;
beforeAll(async () => {
  database = await createDatabase();
  postgres = await createPostgres({ url: database.url, entities, poolSize: 1 });
});
afterAll(async () => {
  await postgres?.close();
  await database?.close();
});

test("takes no traffic until the migrations have run, and says why", async () => {
  // As if the last migration had come with this version.
  const [last] = await postgres.work((em) =>
    em.execute<{ name: string }[]>(
      "delete from mikro_orm_migrations where id = (select max(id) from mikro_orm_migrations) returning name",
    ),
  );
  const app = await startApp({ DATABASE_URL: database.url });
  try {
    const ready = () => fetch(`${app.baseUrl}/health/ready`);
    const response = await ready();
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ message: "the database is not up to date" });
    expect((await fetch(`${app.baseUrl}/health/live`)).status).toBe(200);

    await postgres.work((em) =>
      em.execute("insert into mikro_orm_migrations (name) values (?)", [last!.name]),
    );
    await until(async () => (await ready()).status === 200);
  } finally {
    await app.close();
  }
});
