import { randomUUIDv7 } from "node:crypto";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { couldChangeAuditLog } from "../../src/audit/privileges.repository.ts";
import { prepareEmbeddedDatabase } from "../../src/embedded-database.ts";
import { entities } from "../../src/entities.ts";
import { migrate } from "../../src/postgres/migrator.ts";
import { createPostgres, type Postgres } from "../../src/postgres/postgres.ts";
import { clientsOf, createUserWithKey } from "../identity/clients.ts";
import { startApp } from "../support/app.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { type CommandResult, tribe } from "../support/tribe.ts";
import { openAudit, secret, writeEvent } from "./events.ts";

const name = `owner_${randomUUIDv7().replaceAll("-", "")}`;
let administration: TestDatabase;
let owned: Postgres;
let ownedUrl: string;
beforeAll(async () => {
  administration = await createDatabase();
  await administration.sql(`create role ${name} login password 'owner'`);
  await administration.sql(`create database ${name} owner ${name}`);
  const url = new URL(`${inject("postgresUrl")}/${name}`);
  url.username = name;
  url.password = "owner";
  ownedUrl = url.href;
  owned = await createPostgres({ url: ownedUrl, entities });
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

/** What would change the log, or take away what keeps it from being changed. */
const attempts = [
  "update audit_events set outcome = 'x'",
  "delete from audit_events",
  "truncate audit_events",
  "update audit_links set key_id = 'x'",
  "delete from audit_links",
  "truncate audit_links",
  "delete from audit_head",
  "truncate audit_head",
  "update audit_details set address = 'x'",
  "update audit_pending set event_id = event_id",
  "alter table audit_events disable trigger all",
  "drop trigger audit_events_append_only on audit_events",
  "drop function refuse_audit_change() cascade",
  "drop table audit_events cascade",
  "alter table audit_events owner to current_user",
  "create rule r as on insert to audit_events do instead nothing",
  "set session_replication_role = replica",
  "delete from mikro_orm_migrations",
];

describe("a service whose role is not the one that migrates", () => {
  const service = `service_${name}`;
  let url: string;
  let migrated: CommandResult;
  beforeAll(async () => {
    await administration.sql(`create role ${service} login password 'service'`);
    migrated = await tribe(["migrate"], {
      DATABASE_URL: ownedUrl,
      DATABASE_SERVICE_ROLE: service,
    });
    const served = new URL(ownedUrl);
    served.username = service;
    served.password = "service";
    url = served.href;
  });

  test("does everything that a service does, and cannot change the log", async () => {
    expect(migrated).toMatchObject({
      code: 0,
      stderr: expect.stringContaining(`${service} may do what the service needs`),
    });
    const app = await startApp({ DATABASE_URL: url, SECRET_KEY: secret });
    const administrator = clientsOf(app.baseUrl, app.key);
    const user = await createUserWithKey(administrator, app.baseUrl);
    const { conversationId } = await user.chat.sendMessage({
      content: [{ part: { case: "text", value: "Hello" } }],
    });
    await user.conversations.deleteConversation({ conversationId });
    await user.identity.revokeApiKey({ apiKeyId: user.apiKeyId });
    await administrator.admin.updateSettings({
      settings: { values: { auditDetailRetentionDays: 3000 } },
    });
    await administrator.identity.deleteUser({ userId: user.userId });
    expect((await administrator.admin.listAuditEvents({})).auditEvents.length).toBeGreaterThan(4);
    expect(await administrator.admin.verifyAuditLog({})).toMatchObject({ valid: true });
    const levels = app.log.map(({ level, msg }) => `${String(level)} ${String(msg)}`);
    expect(
      levels.filter((line) => /^(error|warn|50|40) .*(permission|denied|pending)/.test(line)),
    ).toEqual([]);
    await app.close();

    const served = await createPostgres({ url, entities });
    expect(await couldChangeAuditLog(served)).toBe(false);
    expect(await couldChangeAuditLog(owned)).toBe(true);
    // Without the right to grant it grants nothing, with a warning only.
    await served.work((em) => em.execute("grant all on audit_events, audit_links to current_user"));
    for (const attempt of attempts) {
      const refusal = await served
        .work((em) => em.execute(attempt))
        .then(() => `${attempt} was done`, String);
      expect(refusal).toMatch(/permission denied|must be owner/);
    }
    expect(await served.work((em) => em.execute("select 1 from audit_events limit 1"))).toEqual([
      { "?column?": 1 },
    ]);
    await served.close();
  });

  afterAll(async () => {
    await owned.work((em) =>
      em.execute(
        `revoke all on all tables in schema public from ${service};
         revoke all on schema public from ${service}`,
      ),
    );
    await administration.sql(`drop role ${service}`);
  });
});

test("the embedded database's service cannot change the log either", async () => {
  const role = `embedded_${name}`;
  const database = await createDatabase();
  const url = await prepareEmbeddedDatabase(database.url, role);
  const served = await createPostgres({ url, entities });
  expect(await couldChangeAuditLog(served)).toBe(false);
  expect(await couldChangeAuditLog(database.postgres)).toBe(true);
  for (const attempt of attempts) {
    await expect(served.work((em) => em.execute(attempt))).rejects.toThrow(
      /permission denied|must be owner/,
    );
  }
  await served.close();
  // A next start gives another password.
  expect(await prepareEmbeddedDatabase(database.url, role)).not.toBe(url);
  await database.sql(`drop owned by "${role}"`);
  await database.close();
  await administration.sql(`drop role "${role}"`);
});
