import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { IdentityService, Role } from "../../gen/tribe/v1/identity_pb.js";
import { startApp, type TestApp } from "../support/app.ts";
import { createGrpcClient } from "../support/grpc-client.ts";
import { startProgram, type TestProgram } from "../support/program.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { clientsOf, type Clients, createUserWithKey, failureOf } from "./clients.ts";

let redis: TestRedis;
let app: TestApp;
let administrator: Clients;
beforeAll(async () => {
  redis = await startRedis();
  app = await startApp({ REDIS_URL: redis.url });
  administrator = clientsOf(app.baseUrl, app.key);
});
afterAll(async () => {
  await app.close();
  await redis.stop();
});

const user = () => createUserWithKey(administrator, app.baseUrl);

describe("a key", () => {
  test("is shown once, opens every door and is stored only as a hash", async () => {
    const { apiKey, secret } = await administrator.identity.createApiKey({ name: "mine" });
    expect(secret).toMatch(/^trb_dev_[0-9A-Za-z]{49}$/);
    expect(secret.startsWith(apiKey?.prefix ?? "none")).toBe(true);
    const me = await clientsOf(app.baseUrl, secret).identity.getMe({});
    expect(me.user).toMatchObject({ displayName: "Administrator", role: Role.ADMIN });
    for (const headers of [{ "x-api-key": secret }, { authorization: `bearer ${secret}` }]) {
      const answer = await fetch(`${app.baseUrl}/api/v1/me`, { headers });
      expect(await answer.json()).toMatchObject({ user: { role: "ROLE_ADMIN" } });
    }
    const grpc = createGrpcClient(IdentityService, app.grpcAddress);
    const { Metadata } = await import("@grpc/grpc-js");
    const metadata = new Metadata();
    metadata.set("authorization", `Bearer ${secret}`);
    const answer = await new Promise((resolve, reject) => {
      grpc["GetMe"]!(
        { $typeName: "tribe.v1.GetMeRequest" },
        metadata,
        (error: Error | null, value: unknown) => (error ? reject(error) : resolve(value)),
      );
    });
    expect(answer).toMatchObject({ user: { role: Role.ADMIN } });
    grpc.close();

    const rows = await app.database.sql("select * from api_keys");
    const body = secret.slice("trb_dev_".length + 8);
    expect(JSON.stringify(rows)).not.toContain(body);
    expect(JSON.stringify(app.log)).not.toContain(body);
    const listed = await administrator.identity.listApiKeys({});
    expect(
      JSON.stringify(listed.apiKeys, (_, value) =>
        typeof value === "bigint" ? `${value}` : value,
      ),
    ).not.toContain(body);
  });

  test("is refused when it is damaged, unknown, or no credential at all", async () => {
    const { key } = await user();
    const other = key.slice(0, -1) + (key.endsWith("a") ? "b" : "a");
    expect(await failureOf(clientsOf(app.baseUrl, other).identity.getMe({}))).toMatch(
      /^UNAUTHENTICATED .*checksum is wrong/,
    );
    const { makeApiKey } = await import("../../src/identity/api-key.ts");
    const unknown = clientsOf(app.baseUrl, makeApiKey("dev")).identity;
    for (let count = 0; count < 2; count += 1) {
      expect(await failureOf(unknown.getMe({}))).toMatch(/^UNAUTHENTICATED .*is not valid/);
    }
    expect(await failureOf(clientsOf(app.baseUrl, "").identity.getMe({}))).toMatch(/no credential/);
    expect(await failureOf(clientsOf(app.baseUrl, "x".repeat(8193)).identity.getMe({}))).toMatch(
      /longer than 8192/,
    );
    const basic = await fetch(`${app.baseUrl}/api/v1/me`, {
      headers: { authorization: "Basic eDp5" },
    });
    expect(basic.status).toBe(401);
  });

  test("can do what its scopes say, and cannot make a key that can do more", async () => {
    const { identity } = await user();
    const { secret } = await identity.createApiKey({
      name: "reader",
      scopes: ["me:read", "keys:write"],
    });
    const scoped = clientsOf(app.baseUrl, secret);
    expect((await scoped.identity.getMe({})).permissions).toEqual(["keys:write", "me:read"]);
    expect(await failureOf(scoped.conversations.listConversations({}))).toBe(
      "PERMISSION_DENIED PERMISSION_DENIED: needs conversations:read",
    );
    for (const scopes of [[], ["me:read", "chat:write"]]) {
      expect(await failureOf(scoped.identity.createApiKey({ name: "more", scopes }))).toMatch(
        /^PERMISSION_DENIED .*needs .* itself/,
      );
    }
    await scoped.identity.createApiKey({ name: "same", scopes: ["me:read"] });
    expect(await failureOf(identity.createApiKey({ name: "x", scopes: ["users:write"] }))).toMatch(
      /^INVALID_ARGUMENT INVALID_FIELD: scopes: users:write is nothing that/,
    );
    expect(
      await failureOf(identity.createApiKey({ name: "x", scopes: ["me:read", "fly"] })),
    ).toMatch(/^INVALID_ARGUMENT INVALID_FIELD: scopes\[1\]: is no permission/);
    expect(await failureOf(identity.createApiKey({ name: "" }))).toMatch(
      /^INVALID_ARGUMENT .*name/,
    );
  });

  test("cannot be made stronger by rotating a stronger one", async () => {
    const { identity, apiKeyId } = await user();
    const { secret } = await identity.createApiKey({ name: "writer", scopes: ["keys:write"] });
    expect(
      await failureOf(clientsOf(app.baseUrl, secret).identity.rotateApiKey({ apiKeyId })),
    ).toMatch(/^PERMISSION_DENIED/);
  });

  test("of somebody else does not exist", async () => {
    const [one, other] = [await user(), await user()];
    const { apiKeyId, userId } = other;
    expect(await failureOf(one.identity.revokeApiKey({ apiKeyId }))).toMatch(/^NOT_FOUND/);
    expect(await failureOf(one.identity.rotateApiKey({ apiKeyId }))).toMatch(/^NOT_FOUND/);
    expect(await failureOf(one.identity.listApiKeys({ userId }))).toMatch(/^NOT_FOUND/);
    expect(await failureOf(one.identity.createApiKey({ userId, name: "x" }))).toMatch(/^NOT_FOUND/);
    expect((await administrator.identity.listApiKeys({ userId })).apiKeys).toMatchObject([
      { apiKeyId },
    ]);
  });

  test("expires", async () => {
    const { identity } = await user();
    const expireTime = timestampFromDate(new Date(Date.now() + 400));
    const { secret } = await identity.createApiKey({ name: "short", expireTime });
    const short = clientsOf(app.baseUrl, secret).identity;
    await short.getMe({});
    await vi.waitFor(async () =>
      expect(await failureOf(short.getMe({}))).toMatch(/^UNAUTHENTICATED .*has expired/),
    );
    const past = timestampFromDate(new Date(Date.now() - 1000));
    expect(await failureOf(identity.createApiKey({ name: "past", expireTime: past }))).toMatch(
      /^INVALID_ARGUMENT INVALID_FIELD: expireTime: is not in the future/,
    );
  });

  test("is rotated with an overlap", async () => {
    const { identity, apiKeyId, key, userId } = await user();
    const { apiKey, secret } = await identity.rotateApiKey({
      apiKeyId,
      overlap: { seconds: 1n, nanos: 0 },
    });
    expect(apiKey).toMatchObject({ userId, name: "first" });
    const [old, successor] = [clientsOf(app.baseUrl, key), clientsOf(app.baseUrl, secret)];
    await Promise.all([old.identity.getMe({}), successor.identity.getMe({})]);
    await vi.waitFor(
      async () => expect(await failureOf(old.identity.getMe({}))).toMatch(/has expired/),
      5000,
    );
    await successor.identity.getMe({});
    expect(await failureOf(successor.identity.rotateApiKey({ apiKeyId }))).toMatch(
      /^FAILED_PRECONDITION API_KEY_NOT_ALIVE/,
    );
  });

  test("keeps its limits and is listed page by page, the newest first", async () => {
    const { identity } = await user();
    for (const name of ["a", "b", "c"]) {
      await identity.createApiKey({ name, limits: { requestsPerMinute: 7 } });
    }
    const first = await identity.listApiKeys({ pageSize: 3 });
    const second = await identity.listApiKeys({ pageSize: 3, pageToken: first.nextPageToken });
    expect([...first.apiKeys, ...second.apiKeys].map(({ name }) => name)).toEqual([
      "c",
      "b",
      "a",
      "first",
    ]);
    expect(first.apiKeys[0]?.limits).toMatchObject({ requestsPerMinute: 7, tokensPerMinute: 0 });
    expect(second.nextPageToken).toBe("");
  });

  test("notes to the minute when it was last used", async () => {
    const { identity, apiKeyId, userId } = await user();
    await identity.getMe({});
    await vi.waitFor(
      async () => {
        const { apiKeys } = await administrator.identity.listApiKeys({ userId });
        const time = apiKeys.find((key) => key.apiKeyId === apiKeyId)?.lastUsedTime;
        expect(time && timestampDate(time).getTime() % 60_000).toBe(0);
      },
      { timeout: 25_000, interval: 500 },
    );
  });

  test("ends with its user, and comes back with them", async () => {
    const { identity, userId } = await user();
    await identity.getMe({});
    const mask = { paths: ["disabled"] };
    await administrator.identity.updateUser({ user: { userId, disabled: true }, updateMask: mask });
    expect(await failureOf(identity.getMe({}))).toMatch(/^UNAUTHENTICATED .*is disabled/);
    await administrator.identity.updateUser({
      user: { userId, disabled: false },
      updateMask: mask,
    });
    await identity.getMe({});
  });

  test("leaves an event when somebody else looks at it or at what it cost, not its owner", async () => {
    const { identity, userId, usage } = await user();
    await identity.listApiKeys({});
    await usage.getUsage({});
    await administrator.identity.listApiKeys({ userId });
    await administrator.usage.getUsage({ userId });
    for (const action of ["identity.key.list", "usage.usage.get"]) {
      const { auditEvents } = await administrator.admin.listAuditEvents({ action });
      const about = auditEvents.filter(
        ({ userId: who, resource }) => who === userId || resource === `user/${userId}`,
      );
      expect(about).toMatchObject([{ resource: `user/${userId}`, outcome: "ok" }]);
      expect(about[0]?.userId).not.toBe(userId);
    }
  });

  test("leaves events of what was done with it", async () => {
    const { identity, userId } = await user();
    const { apiKey } = await identity.createApiKey({ name: "audited" });
    await identity.revokeApiKey({ apiKeyId: apiKey?.apiKeyId ?? "" });
    const { auditEvents } = await administrator.admin.listAuditEvents({ userId });
    expect(
      auditEvents.map(({ action, resource, outcome }) => `${action} ${resource} ${outcome}`),
    ).toEqual([
      `identity.key.revoke api_key/${apiKey?.apiKeyId} ok`,
      `identity.key.create api_key/${apiKey?.apiKeyId} ok`,
    ]);
    expect(auditEvents[0]?.address).toBe("127.0.0.1");
    expect(await administrator.admin.verifyAuditLog({})).toMatchObject({
      valid: true,
      problem: "",
    });
  });
});

describe("two processes", () => {
  let other: TestProgram;
  beforeAll(async () => {
    other = await startProgram({
      DATABASE_URL: app.database.url,
      REDIS_URL: redis.url,
      ADMIN_API_KEY: app.key,
    });
  });
  afterAll(() => other.close());

  /** Revokes in one process what the other knows, and waits until the other refuses it. */
  async function revokeElsewhere() {
    const { identity, apiKeyId, key } = await user();
    const there = clientsOf(other.baseUrl, key);
    await there.identity.getMe({});
    await identity.revokeApiKey({ apiKeyId });
    const revokedAt = performance.now();
    await vi.waitFor(
      async () =>
        expect(await failureOf(there.identity.getMe({}))).toMatch(/^UNAUTHENTICATED .*was revoked/),
      { timeout: 10_000, interval: 20 },
    );
    return performance.now() - revokedAt;
  }

  test("agree on a revoked key in less than a second, also while Redis is away", async () => {
    expect(await revokeElsewhere()).toBeLessThan(1000);
    redis.kill("SIGKILL");
    await revokeElsewhere();
    await redis.start();
    await revokeElsewhere();
  });

  test("agree on what a role may do", async () => {
    const { key } = await createUserWithKey(administrator, app.baseUrl, Role.VIEWER);
    const there = clientsOf(other.baseUrl, key);
    expect(await failureOf(there.conversations.createConversation({}))).toMatch(
      /^PERMISSION_DENIED/,
    );
    const viewer = ["me:read", "conversations:read", "conversations:write"];
    await administrator.admin.updateSettings({
      settings: { values: { rolePermissions: { viewer } } },
    });
    await vi.waitFor(() => there.conversations.createConversation({}), { timeout: 10_000 });
    await administrator.admin.updateSettings({
      settings: {},
      updateMask: { paths: ["values.rolePermissions"] },
    });
    await vi.waitFor(
      async () =>
        expect(await failureOf(there.conversations.createConversation({}))).toMatch(
          /^PERMISSION_DENIED/,
        ),
      { timeout: 10_000 },
    );
  });
});
