import { randomUUIDv7 } from "node:crypto";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { eraseUnusedConversations } from "../../src/conversations/retention.repository.ts";
import { createDuty } from "../../src/duty.ts";
import { eraseRemains } from "../../src/identity/erased-users.repository.ts";
import { createRetention } from "../../src/retention/retention.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { openAudit, writeEvent } from "../audit/events.ts";
import { clientsOf, type Clients, createUserWithKey, failureOf } from "../identity/clients.ts";
import { startApp, type TestApp } from "../support/app.ts";

let app: TestApp;
let administrator: Clients;
const logger = createLogger({ destination: { write: () => {} } });
beforeAll(async () => {
  app = await startApp();
  administrator = clientsOf(app.baseUrl, app.key);
});
afterAll(() => app.close());

const always = async () => true;

/** Conversations last used that many days ago, each with a turn. Their ids are as old. */
async function converse(ages: number[]) {
  const owner = await createUserWithKey(administrator, app.baseUrl);
  const ids = [];
  for (const days of ages) {
    const { conversationId } = await owner.chat.sendMessage({
      content: [{ part: { case: "text", value: `of ${days} days ago` } }],
    });
    const old = randomUUIDv7().replace(/^.{13}/, uuidTime(Date.now() - days * 86_400_000));
    await app.database.sql(
      `with moved as (
         insert into conversations (id, user_id, title, head_message_id, last_sequence, update_time)
         select ?, user_id, title, head_message_id, last_sequence, now() - ? * interval '1 day'
         from conversations where id = ? returning id
       ), messages as (
         update messages set conversation_id = moved.id from moved
         where conversation_id = ?
       )
       update runs set conversation_id = moved.id from moved where conversation_id = ?`,
      [old, days, conversationId, conversationId, conversationId],
    );
    await app.database.sql("delete from conversations where id = ?", [conversationId]);
    ids.push(old);
  }
  return { owner, ids };
}

function uuidTime(time: number): string {
  const hex = time.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}`;
}

async function countOf(table: string, userId: string): Promise<number> {
  const [row] = await app.database.sql<{ count: number }>(
    table === "messages"
      ? `select count(*)::int from messages join conversations
           on conversations.id = messages.conversation_id where conversations.user_id = ?`
      : `select count(*)::int from ${table} where user_id = ?`,
    [userId],
  );
  return row?.count ?? -1;
}

test("conversations that nobody used for so long are erased, and the log says so and verifies", async () => {
  const { owner, ids } = await converse([40, 31, 29, 0]);
  await app.database.sql(
    "update runs set state = 'running', lease_time = now() where conversation_id = ?",
    [ids[1]],
  );
  const audit = openAudit(app.database.postgres, [app.key]);
  const { postgres } = app.database;
  const before = new Date(Date.now() - 30 * 86_400_000);
  expect(await eraseUnusedConversations(postgres, audit, before, async () => false)).toBe(0);
  const erase = createRetention({
    eraseConversations: (time, goOn) => eraseUnusedConversations(postgres, audit, time, goOn),
    eraseRemains: () => eraseRemains(postgres),
    audit,
    settings: {
      get: (definition) => (definition.name === "conversationRetentionDays" ? 30 : 0) as never,
    },
    logger,
  });
  await erase(always);
  const left = await owner.conversations.listConversations({});
  // Of the second a run is under way.
  expect(left.conversations.map(({ conversationId }) => conversationId).sort()).toEqual(
    ids.slice(1).sort(),
  );
  expect(await countOf("messages", owner.userId)).toBe(6);
  expect(await countOf("runs", owner.userId)).toBe(3);
  expect(await countOf("message_search", owner.userId)).toBeLessThanOrEqual(6);
  expect(await countOf("usage", owner.userId)).toBe(4);
  const { auditEvents } = await administrator.admin.listAuditEvents({
    action: "conversation.conversation.expire",
  });
  expect(auditEvents).toMatchObject([{ userId: "", outcome: "ok", facts: { conversations: "1" } }]);
  expect(auditEvents[0]?.resource).toMatch(/^conversations\/before\/20/);
  await audit.close();
});

test("more than one page and one batch are erased", async () => {
  const owner = await createUserWithKey(administrator, app.baseUrl);
  await app.database.sql(
    `insert into conversations (id, user_id, update_time)
     select overlay(gen_random_uuid()::text placing '01700000-0000-7' from 1 for 15)::uuid, ?,
       case when n % 50 = 0 then now() - interval '100 days' else now() end
     from generate_series(1, 12000) n`,
    [owner.userId],
  );
  const audit = openAudit(app.database.postgres, [app.key]);
  const before = new Date(Date.now() - 90 * 86_400_000);
  expect(await eraseUnusedConversations(app.database.postgres, audit, before, always)).toBe(240);
  expect(await countOf("conversations", owner.userId)).toBe(12_000 - 240);
  await audit.close();
});

test("without the setting nothing is erased", async () => {
  const erased: Date[] = [];
  const erase = createRetention({
    eraseConversations: async (before) => erased.push(before),
    eraseRemains: async () => {},
    audit: { expireDetails: async (before) => erased.push(before) },
    settings: { get: (definition) => definition.default },
    logger,
  });
  await erase(always);
  expect(erased).toEqual([]);
});

test("settings of retention are checked", async () => {
  const update = (values: Record<string, number>) =>
    failureOf(administrator.admin.updateSettings({ settings: { values } }));
  expect(await update({ conversationRetentionDays: -1 })).toMatch(
    /^INVALID_ARGUMENT .*conversationRetentionDays: must be a whole number from 0 to 36500/,
  );
  expect(await update({ auditDetailRetentionDays: 90 })).toBe("it did not fail");
});

test("one process at a time does a duty, and another goes on when it dies", async () => {
  const done: string[] = [];
  const make = (who: string, name: string, everyMs: number) =>
    createDuty({
      name,
      everyMs,
      work: async () => void done.push(who),
      postgres: app.database.postgres,
      logger,
    });
  const long = [make("a", "long", 3_600_000), make("b", "long", 3_600_000)];
  for (const duty of long) duty.start();
  const short = [make("c", "short", 500), make("d", "short", 500)];
  for (const duty of short) duty.start();
  await vi.waitFor(() => expect(done.filter((who) => who > "b").length).toBeGreaterThan(1), 20_000);
  await short[0]?.close();
  const sofar = done.length;
  await vi.waitFor(() => expect(done.slice(sofar)).toContain("d"), 20_000);
  for (const duty of [...long, ...short]) await duty.close();
  expect(done.filter((who) => who <= "b").length).toBeLessThanOrEqual(1);
}, 60_000);

test("what a call left of a user who was erased meanwhile goes too", async () => {
  const owner = await createUserWithKey(administrator, app.baseUrl);
  await administrator.identity.deleteUser({ userId: owner.userId });
  const audit = openAudit(app.database.postgres, [app.key]);
  await writeEvent(audit, { userId: owner.userId });
  const details = () =>
    app.database.sql("select * from audit_details where user_id = ?", [owner.userId]);
  expect((await details()).length).toBe(1);
  await eraseRemains(app.database.postgres);
  expect(await details()).toEqual([]);
  await audit.close();
  expect(await administrator.admin.verifyAuditLog({})).toMatchObject({ problem: "", valid: true });
});
