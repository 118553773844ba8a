import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Role } from "../../gen/tribe/v1/identity_pb.js";
import { createRedis, type Redis } from "../../src/redis/redis.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { clientsOf, type Clients, createUserWithKey, failureOf } from "./clients.ts";

const password = "correct horse battery staple";
let redis: TestRedis;
let store: Redis;
let app: TestApp;
let administrator: Clients;
beforeAll(async () => {
  redis = await startRedis();
  store = createRedis({ address: { kind: "standalone", url: redis.url } });
  app = await startApp({ REDIS_URL: redis.url, ARGON2_MEMORY: "1024", ARGON2_PASSES: "1" });
  administrator = clientsOf(app.baseUrl, app.key);
});
afterAll(async () => {
  await app.close();
  await store.close();
  await redis.stop();
});

/** Somebody who leaves traces everywhere. */
async function createPerson(name: string) {
  const email = `${name}@personal.example`;
  const { user } = await administrator.identity.createUser({
    email,
    displayName: name,
    role: Role.USER,
    password,
  });
  const userId = user?.userId ?? "";
  const { secret } = await administrator.identity.createApiKey({
    userId,
    name: `${name}'s laptop`,
  });
  const person = clientsOf(app.baseUrl, secret);
  const stranger = clientsOf(app.baseUrl, "").identity;
  const { refreshToken } = await stranger.signIn({ email, password });
  await stranger.signIn({ email, password, cookie: true });
  await failureOf(stranger.signIn({ email, password: "wrong" }));
  for (let turn = 0; turn < 3; turn += 1) {
    await person.chat.sendMessage({
      content: [{ part: { case: "text", value: `my secret word is ${name}-${turn}` } }],
      idempotencyKey: `${name}'s question ${turn}`,
    });
  }
  await person.identity.createApiKey({ name: `${name}'s phone` });
  return { userId, email, secret, refreshToken, ...person };
}

async function read(
  stream: AsyncIterable<{ data: Uint8Array }>,
): Promise<Record<string, unknown>[]> {
  let text = "";
  for await (const { data } of stream) text += Buffer.from(data).toString();
  return text
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** All that Redis holds, as text: names and values of every kind. */
async function allOfRedis(): Promise<string> {
  const read: Record<string, (key: string) => string[]> = {
    string: (key) => ["GET", key],
    hash: (key) => ["HGETALL", key],
    set: (key) => ["SMEMBERS", key],
    zset: (key) => ["ZRANGE", key, "0", "-1"],
    stream: (key) => ["XRANGE", key, "-", "+"],
  };
  const keys = await store.command<string[]>("*", ["KEYS", "*"]);
  const values = [];
  for (const key of keys) {
    const type = await store.command<string>(key, ["TYPE", key]);
    values.push([key, await store.command(key, read[type]?.(key) ?? ["DUMP", key])]);
  }
  return JSON.stringify(values);
}

/** All that the database holds, as text. */
async function everything(): Promise<string> {
  const tables = await app.database.sql<{ name: string }>(
    "select table_name as name from information_schema.tables where table_schema = 'public'",
  );
  const rows = await Promise.all(
    tables.map(({ name }) => app.database.sql(`select "${name}"::text as row from "${name}"`)),
  );
  return JSON.stringify(rows);
}

test("a user gets everything about themselves, and nothing of others or of the server's", async () => {
  const [ada, mallory] = [await createPerson("ada"), await createPerson("mallory")];
  const records = await read(ada.identity.exportUserData({ userId: ada.userId }));
  const counts = Object.groupBy(records, ({ record }) => String(record));
  expect(Object.keys(counts).sort()).toEqual([
    "api_key",
    "audit_event",
    "conversation",
    "message",
    "run",
    "session",
    "usage",
    "user",
  ]);
  expect(counts["user"]).toMatchObject([
    { email: ada.email, display_name: "ada", has_password: true },
  ]);
  expect(counts["conversation"]).toHaveLength(3);
  expect(counts["message"]).toHaveLength(6);
  expect(counts["api_key"]).toHaveLength(2);
  expect(counts["usage"]).toHaveLength(3);
  const text = JSON.stringify(records);
  for (const word of ["ada-0", "ada-1", "ada-2", "ada's laptop"]) expect(text).toContain(word);
  for (const word of ["mallory", "$argon2id", "password_hash", "private_key"])
    expect(text).not.toContain(word);
  expect(await failureOf(read(mallory.identity.exportUserData({ userId: ada.userId })))).toMatch(
    /^NOT_FOUND/,
  );
  expect(
    (await read(administrator.identity.exportUserData({ userId: ada.userId }))).length,
  ).toBeGreaterThan(10);
  const { auditEvents } = await administrator.admin.listAuditEvents({
    action: "identity.user_data.export",
  });
  expect(auditEvents.map(({ outcome, resource }) => `${outcome} ${resource}`)).toEqual([
    `ok user/${ada.userId}`,
    `NOT_FOUND user/${ada.userId}`,
    `ok user/${ada.userId}`,
  ]);

  const file = await fetch(`${app.baseUrl}/api/v1/users/${ada.userId}:export`, {
    headers: { authorization: `Bearer ${ada.secret}` },
  });
  expect(file.headers.get("content-type")).toMatch(/application\/jsonl/);
  expect((await file.text()).trimEnd().split("\n").length).toBeGreaterThanOrEqual(records.length);
});

test("an erased user leaves nothing personal anywhere, and the audit log still verifies", async () => {
  const ada = await createPerson("lovelace");
  // A word may be stored without its ending, and bytes in hexadecimal.
  const traces = new RegExp(`lovelac|${Buffer.from("lovelac").toString("hex")}`, "i");
  // Somebody looks on while they are answered, so that Redis has the pieces too.
  const stream = ada.chat.streamMessage({
    content: [{ part: { case: "text", value: "repeat lovelace, ".repeat(400) } }],
  });
  for await (const { event } of stream) if (event.case === "textDelta") break;
  await vi.waitFor(async () => expect(await allOfRedis()).toMatch(traces), 20_000);
  expect(await allOfRedis()).toContain("tribe:session:");
  const before = await everything();
  expect(before).toMatch(traces);
  expect(before).toContain(ada.userId);

  expect(await failureOf(ada.identity.deleteUser({ userId: ada.userId }))).toMatch(
    /^PERMISSION_DENIED/,
  );
  await administrator.identity.deleteUser({ userId: ada.userId });

  expect(await failureOf(ada.identity.getMe({}))).toMatch(/^UNAUTHENTICATED/);
  expect(
    await failureOf(clientsOf(app.baseUrl, "").identity.signIn({ email: ada.email, password })),
  ).toMatch(/^UNAUTHENTICATED/);
  expect(await failureOf(administrator.identity.getUser({ userId: ada.userId }))).toMatch(
    /^NOT_FOUND/,
  );
  expect(await failureOf(administrator.identity.deleteUser({ userId: ada.userId }))).toMatch(
    /^NOT_FOUND/,
  );
  expect(await everything()).not.toMatch(traces);
  const inRedis = await allOfRedis();
  expect(inRedis).not.toMatch(traces);
  expect(inRedis).not.toContain(ada.userId);
  const { refreshToken } = ada;
  expect(
    await failureOf(clientsOf(app.baseUrl, "").identity.refreshToken({ refreshToken })),
  ).toMatch(/^UNAUTHENTICATED/);
  for (const table of ["api_keys", "sessions", "runs", "conversations", "search_queue"]) {
    const rows = await app.database.sql(`select * from ${table} where user_id = ?`, [ada.userId]);
    expect([table, rows]).toEqual([table, []]);
  }
  const details = await app.database.sql("select * from audit_details where user_id = ?", [
    ada.userId,
  ]);
  expect(details).toEqual([]);
  const usage = await app.database.sql("select * from usage where user_id = ?", [ada.userId]);
  expect(usage.length).toBe(4);

  expect(await administrator.admin.verifyAuditLog({})).toMatchObject({ valid: true, problem: "" });
  const { auditEvents } = await administrator.admin.listAuditEvents({ userId: ada.userId });
  expect(auditEvents.length).toBeGreaterThan(0);
  expect(auditEvents.every(({ address }) => address === "")).toBe(true);
});

test("the first administrator stays", async () => {
  const { user } = await administrator.identity.getMe({});
  expect(
    await failureOf(administrator.identity.deleteUser({ userId: user?.userId ?? "" })),
  ).toMatch(/^FAILED_PRECONDITION FIRST_ADMINISTRATOR/);
});

test("a password is set by whoever knows the current one, or by an administrator", async () => {
  const grace = await createPerson("grace");
  const { userId, email } = grace;
  const newPassword = "another horse battery staple";
  const stranger = clientsOf(app.baseUrl, "").identity;
  const session = await stranger.signIn({ email, password });
  const inSession = clientsOf(app.baseUrl, session.accessToken).identity;
  expect(await failureOf(grace.identity.setPassword({ userId, newPassword }))).toMatch(
    /^INVALID_ARGUMENT .*currentPassword/,
  );
  expect(await failureOf(grace.identity.setPassword({ userId, newPassword: "short" }))).toMatch(
    /^INVALID_ARGUMENT .*newPassword/,
  );
  expect(
    await failureOf(inSession.setPassword({ userId, currentPassword: "wrong", newPassword })),
  ).toMatch(/^UNAUTHENTICATED/);
  await inSession.setPassword({ userId, currentPassword: password, newPassword });
  expect(await failureOf(inSession.getMe({}))).toMatch(/session was ended/);
  expect(await failureOf(stranger.signIn({ email, password }))).toMatch(/^UNAUTHENTICATED/);
  await stranger.signIn({ email, password: newPassword });
  await administrator.identity.setPassword({ userId, newPassword: password });
  await stranger.signIn({ email, password });
  const other = await createUserWithKey(administrator, app.baseUrl);
  expect(await failureOf(other.identity.setPassword({ userId, newPassword }))).toMatch(
    /^NOT_FOUND/,
  );
});
