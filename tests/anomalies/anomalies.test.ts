import { once } from "node:events";
import { request } from "node:http";
import { afterAll, beforeAll, beforeEach, expect, test, vi } from "vitest";
import { Role } from "../../gen/tribe/v1/identity_pb.js";
import { createAnomalies } from "../../src/anomalies/anomalies.ts";
import { createMemorySightings } from "../../src/anomalies/sightings.ts";
import { findUnusualSpend } from "../../src/anomalies/spend.repository.ts";
import { createAudit } from "../../src/audit/audit.ts";
import { createKeyRing } from "../../src/key-ring.ts";
import { createCounters } from "../../src/telemetry/counters.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { clientsOf, type Clients, createUserWithKey, failureOf } from "../identity/clients.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { startProgram, type TestProgram } from "../support/program.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const password = "correct horse battery staple";
let redis: TestRedis;
let app: TestApp;
let other: TestProgram;
let administrator: Clients;
beforeAll(async () => {
  redis = await startRedis();
  const environment = { REDIS_URL: redis.url, ARGON2_MEMORY: "1024", ARGON2_PASSES: "1" };
  app = await startApp(environment);
  administrator = clientsOf(app.baseUrl, app.key);
  other = await startProgram({
    ...environment,
    DATABASE_URL: app.database.url,
    ADMIN_API_KEY: app.key,
  });
});
afterAll(async () => {
  await other.close();
  await app.close();
  await redis.stop();
});
/** Who failed to sign in before must not be in the way of the next test. */
beforeEach(() => redisCommand("FLUSHALL"));

async function redisCommand(command: string): Promise<void> {
  const { connect } = await import("node:net");
  const socket = connect(redis.port, "127.0.0.1");
  socket.write(`${command}\r\n`);
  await once(socket, "data");
  socket.destroy();
}

const settle = (values: Record<string, Record<string, number>>) =>
  administrator.admin.updateSettings({ settings: { values } });

async function eventsOf(action: string) {
  const { auditEvents } = await administrator.admin.listAuditEvents({ action });
  return auditEvents;
}

test("a burst of failed sign-ins, spread over two processes, is told of once and blocks", async () => {
  await settle({ failedSignInAnomaly: { count: 4, blockMinutes: 30 } });
  const email = "burst@example.org";
  const created = await administrator.identity.createUser({ email, password, role: Role.USER });
  const userId = created.user?.userId ?? "";
  const { secret } = await administrator.identity.createApiKey({ userId, name: "running" });
  for (const { baseUrl } of [app, other, app, other]) {
    await failureOf(clientsOf(baseUrl, "").identity.signIn({ email, password: "a guess" }));
  }
  const told = await vi.waitFor(async () => {
    const events = await eventsOf("anomaly.failed_sign_ins");
    expect(events.length).toBeGreaterThanOrEqual(2);
    return events;
  }, 10_000);
  expect(told.map(({ facts }) => facts["by"]).sort()).toEqual(["account", "address"]);
  expect(told.find(({ facts }) => facts["by"] === "account")).toMatchObject({
    resource: `user/${userId}`,
    facts: { attempts: "4", blockedUntil: expect.stringMatching(/^20/) },
  });

  // The right password is refused too, and says for how long; what runs goes on.
  for (const { baseUrl } of [app, other]) {
    const response = await fetch(`${baseUrl}/api/v1/auth:signIn`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email, password }),
    });
    expect(response.status).toBe(429);
    expect(Number(response.headers.get("retry-after"))).toBeGreaterThan(1000);
    expect(await response.text()).toContain("SIGN_IN_LOCKED");
  }
  expect((await clientsOf(other.baseUrl, secret).identity.getMe({})).user?.userId).toBe(userId);
  expect((await eventsOf("anomaly.failed_sign_ins")).length).toBe(2);
});

/** A call from an address of this machine. */
async function callFrom(localAddress: string, baseUrl: string, key: string): Promise<number> {
  const call = request(`${baseUrl}/api/v1/me`, { localAddress, headers: { "x-api-key": key } });
  call.end();
  const [response] = (await once(call, "response")) as [{ statusCode: number; resume(): void }];
  response.resume();
  return response.statusCode;
}

test("a key used from many addresses is told of, blocked everywhere, and unblocked", async () => {
  await settle({ keyAddressAnomaly: { count: 4, blockMinutes: 30 } });
  const owner = await createUserWithKey(administrator, app.baseUrl);
  expect(await callFrom("127.0.0.1", app.baseUrl, owner.key)).toBe(200);
  expect(await callFrom("127.0.0.2", other.baseUrl, owner.key)).toBe(200);
  expect(await callFrom("127.0.0.2", app.baseUrl, owner.key)).toBe(200);
  expect(await callFrom("127.0.0.3", other.baseUrl, owner.key)).toBe(200);
  expect(await callFrom("127.0.0.4", app.baseUrl, owner.key)).toBe(200);
  await vi.waitFor(async () => {
    for (const { baseUrl } of [app, other]) {
      expect(await failureOf(clientsOf(baseUrl, owner.key).identity.getMe({}))).toMatch(
        /^RESOURCE_EXHAUSTED TEMPORARILY_BLOCKED/,
      );
    }
  }, 10_000);
  const [event] = await eventsOf("anomaly.key_addresses");
  expect(event).toMatchObject({
    resource: `api_key/${owner.apiKeyId}`,
    userId: owner.userId,
    apiKeyId: owner.apiKeyId,
    facts: { addresses: "4" },
  });
  const { apiKeys } = await administrator.identity.listApiKeys({ userId: owner.userId });
  expect(apiKeys[0]?.blockExpireTime).toBeDefined();
  const refused = await fetch(`${app.baseUrl}/api/v1/me`, { headers: { "x-api-key": owner.key } });
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(1000);

  await administrator.identity.unblockUser({ userId: owner.userId });
  await vi.waitFor(async () => {
    for (const { baseUrl } of [app, other]) {
      expect(await failureOf(clientsOf(baseUrl, owner.key).identity.getMe({}))).toBe(
        "it did not fail",
      );
    }
  });
  expect((await eventsOf("identity.user.unblock"))[0]).toMatchObject({
    outcome: "ok",
    resource: `user/${owner.userId}`,
  });
});

test("an administrator lifts the block of an account", async () => {
  await settle({ failedSignInAnomaly: { count: 3, blockMinutes: 30 } });
  const email = "lifted@example.org";
  const { user } = await administrator.identity.createUser({ email, password, role: Role.USER });
  const stranger = clientsOf(app.baseUrl, "").identity;
  for (let guess = 0; guess < 3; guess += 1)
    await failureOf(stranger.signIn({ email, password: "x" }));
  await vi.waitFor(async () => {
    expect(await failureOf(stranger.signIn({ email, password }))).toMatch(/SIGN_IN_LOCKED/);
  }, 10_000);
  await settle({ failedSignInAnomaly: { count: 0 } });
  await administrator.identity.unblockUser({ userId: user?.userId ?? "" });
  // The address is blocked on: it is not the account's.
  expect(await failureOf(stranger.signIn({ email, password }))).toMatch(/SIGN_IN_LOCKED/);
  const response = request(`${app.baseUrl}/api/v1/auth:signIn`, {
    method: "POST",
    localAddress: "127.0.0.9",
    headers: { "content-type": "application/json" },
  });
  response.end(JSON.stringify({ email, password }));
  const [answer] = (await once(response, "response")) as [{ statusCode: number; resume(): void }];
  answer.resume();
  expect(answer.statusCode).toBe(200);
});

test("who is blocked cannot sign in, and learns it by the right password only", async () => {
  await settle({ failedSignInAnomaly: { count: 0 } });
  const email = "blocked@example.org";
  const { user } = await administrator.identity.createUser({ email, password, role: Role.USER });
  await app.database.sql("update users set block_time = now() + interval '1 hour' where id = ?", [
    user?.userId,
  ]);
  const stranger = clientsOf(app.baseUrl, "").identity;
  expect(await failureOf(stranger.signIn({ email, password }))).toMatch(
    /^RESOURCE_EXHAUSTED TEMPORARILY_BLOCKED/,
  );
  expect(await failureOf(stranger.signIn({ email, password: "a guess" }))).toMatch(
    /^UNAUTHENTICATED/,
  );
  const { user: unblocked } = await administrator.identity.unblockUser({
    userId: user?.userId ?? "",
  });
  expect(unblocked?.blockExpireTime).toBeUndefined();
  await stranger.signIn({ email, password });
});

test("spend far above a user's own is told of once, and blocks the user", async () => {
  const usual = await createUserWithKey(administrator, app.baseUrl);
  const unusual = await createUserWithKey(administrator, app.baseUrl);
  const fresh = await createUserWithKey(administrator, app.baseUrl);
  async function spend(userId: string, micros: number, hoursAgo: number) {
    await app.database.sql(
      `insert into usage (run_id, user_id, conversation_id, model, provider, input_tokens,
         cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_micros,
         price_version, create_time)
       values (gen_random_uuid(), ?, gen_random_uuid(), 'm', 'p', 1, 0, 0, 1, 0, ?, '1',
         now() - ? * interval '1 hour')`,
      [userId, micros, hoursAgo],
    );
  }
  for (const { userId } of [usual, unusual]) {
    for (const hoursAgo of [30, 54, 200]) await spend(userId, 2_000_000, hoursAgo);
  }
  await spend(usual.userId, 9_900_000, 2);
  await spend(unusual.userId, 4_000_000, 5);
  await spend(unusual.userId, 6_500_000, 1);
  await spend(fresh.userId, 4_900_000, 1);
  const found = await findUnusualSpend(app.database.postgres, 5, 1_000_000);
  expect(found).toEqual([{ userId: unusual.userId, micros: 10_500_000n, usualMicros: 2_000_000n }]);

  const logger = createLogger({ destination: { write: () => {} } });
  const audit = createAudit({
    postgres: app.database.postgres,
    keyRing: createKeyRing([app.key]),
    logger,
  });
  const counters = createCounters();
  const blocked: string[] = [];
  const spendSettings = { factor: 5, leastMicros: 1_000_000, blockMinutes: 0 };
  const anomalies = createAnomalies({
    sightings: createMemorySightings(),
    findUnusualSpend: (...limits) => findUnusualSpend(app.database.postgres, ...limits),
    blocks: {
      async user(userId, until, trail) {
        blocked.push(`${userId} ${until > new Date()}`);
        await audit.write(trail);
      },
      key: async () => {},
      account: async () => {},
      address: async () => {},
    },
    audit,
    settings: { get: () => spendSettings as never },
    keyRing: createKeyRing([app.key]),
    counters,
    logger,
  });
  await anomalies.checkSpend();
  await anomalies.checkSpend();
  expect(blocked).toEqual([]);
  const [event, ...more] = await eventsOf("anomaly.spend");
  expect(more).toEqual([]);
  expect(event).toMatchObject({
    resource: `user/${unusual.userId}`,
    facts: { micros: "10500000", usualMicros: "2000000" },
  });
  expect(counters.read()).toEqual([
    {
      name: "tribe_anomalies",
      help: expect.any(String),
      labels: { kind: "spend", blocked: "false" },
      value: 1,
    },
  ]);

  spendSettings.blockMinutes = 10;
  await spend(fresh.userId, 1_000_000, 1);
  await anomalies.checkSpend();
  expect(blocked).toEqual([`${fresh.userId} true`]);
  await anomalies.close();
  await audit.close();
});
