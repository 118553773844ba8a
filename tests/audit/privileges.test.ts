import { randomUUIDv7 } from "node:crypto";
import { inject } from "vitest";
import { afterAll, beforeAll, expect, test } from "vitest";
import { entities } from "../../src/entities.ts";
import { migrate } from "../../src/postgres/migrator.ts";
import { createPostgres, type Postgres } from "../../src/postgres/postgres.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { openAudit, writeEvent } from "./events.ts";

const name = `owner_${randomUUIDv7().replaceAll("-", "")}`;
let administration: TestDatabase;
let owned: Postgres;
beforeAll(async () => {
  administration = await createDatabase();
  await administration.sql(`create role ${name} login password 'owner'`);
  await administration.sql(`create database ${name} owner ${name}`);
  const url = new URL(`${inject("postgresUrl")}/${name}`);
  url.username = name;
  url.password = "owner";
  owned = await createPostgres({ url: url.href, entities });
  await migrate(owned);
});
afterAll(async () => {
  await owned.close();
  await administration.sql(`drop database ${name} with (force)`);
  await administration.sql(`drop role ${name}`);
  await administration.close();
});

test("the service's role, although it made the tables, cannot change the log", async () => {
  const audit = openAudit(owned);
  await writeEvent(audit);
  expect(await audit.verify()).toEqual({ checked: 1, fault: undefined });
  for (const statement of [
    "update audit_events set outcome = 'x'",
    "delete from audit_events",
    "truncate audit_events",
    "update audit_links set key_id = 'x'",
    "delete from audit_links",
    "truncate audit_links",
    "delete from audit_head",
    "truncate audit_head",
  ]) {
    await expect(owned.work((em) => em.execute(statement))).rejects.toThrow(/permission denied/);
  }
  expect(await audit.verify()).toEqual({ checked: 1, fault: undefined });
  await audit.close();
});
