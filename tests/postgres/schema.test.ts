import { readdir } from "node:fs/promises";
import { afterAll, beforeAll, expect, test } from "vitest";
import { migrate, pendingMigrations } from "../../src/postgres/migrator.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());

test("the migrations make exactly what the entities say", async () => {
  const { orm } = database.postgres;
  const difference = await orm.schema.getUpdateSchemaSQL({ wrap: false });
  // Triggers are written by hand: entities do not know them.
  const statements = difference
    .split("\n")
    .filter((line) => line !== "" && !/^drop (trigger|function) /.test(line));
  expect(statements).toEqual([]);
});

test("the committed snapshot is that of the entities", async () => {
  expect(await database.postgres.orm.migrator.checkSchema()).toBe(false);
});

test("all migrations have run, and run only once", async () => {
  expect(await pendingMigrations(database.postgres)).toEqual([]);
  expect(await migrate(database.postgres)).toEqual([]);
  const files = await readdir(new URL("../../src/postgres/migrations/", import.meta.url));
  const [row] = await database.sql("select count(*)::int as ran from mikro_orm_migrations");
  expect(row).toEqual({ ran: files.filter((file) => file.endsWith(".ts")).length });
});

test("texts that are one of a few words can be no other", async () => {
  const userId = await database.createUser();
  const attempts = [
    "insert into users (id, role) values (gen_random_uuid(), 'emperor')",
    `insert into conversations (id, user_id) values ('${userId}', gen_random_uuid())`,
  ];
  const failures = await Promise.all(
    attempts.map((sql) => database.sql(sql).catch((error: { constraint?: string }) => error)),
  );
  expect(failures).toMatchObject([
    { constraint: "users_role_check" },
    { constraint: "conversations_user_id_foreign" },
  ]);
});

test("an email address is one user's, whatever its case", async () => {
  const add = (email: string | null) =>
    database.sql("insert into users (id, role, email) values (gen_random_uuid(), 'user', ?)", [
      email,
    ]);
  await add("Ada@example.com");
  await expect(add("ada@EXAMPLE.com")).rejects.toMatchObject({ constraint: "users_email_unique" });
  await add(null);
  await add(null);
});
