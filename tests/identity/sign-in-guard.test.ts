import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  createMemoryGuardStore,
  createSignInGuard,
  guardRules,
  type GuardStore,
  waitAfter,
} from "../../src/identity/sign-in-guard.ts";
import type { DomainError } from "../../src/errors.ts";
import { createRedisGuardStore } from "../../src/identity/sign-in-guard.store.ts";
import { createRedis, type Redis } from "../../src/redis/redis.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = createRedis({ address: { kind: "standalone", url: server.url } });
  await vi.waitFor(() => redis.ping());
});
afterAll(async () => {
  await redis.close();
  await server.stop();
});

const stores: [string, () => GuardStore][] = [
  ["this process", () => createMemoryGuardStore()],
  ["Redis", () => createRedisGuardStore(redis)],
];
let count = 0;
const subject = () => ({ rule: guardRules.pair, key: `pair:${(count += 1)}` });

describe.each(stores)("counting in %s", (_, makeStore) => {
  test("lets the free attempts through and then makes wait", async () => {
    const store = makeStore();
    const one = subject();
    for (let attempt = 0; attempt < guardRules.pair.free; attempt += 1) {
      expect(await store.attempt(one)).toBe(0);
    }
    expect(await store.attempt(one)).toBe(1);
    expect(await store.attempt(subject())).toBe(0);
  });

  test("counts attempts that come at once", async () => {
    const store = makeStore();
    const one = subject();
    const waits = await Promise.all(Array.from({ length: 40 }, () => store.attempt(one)));
    expect(waits.filter((wait) => wait === 0).length).toBe(guardRules.pair.free);
  });

  test("forgives one attempt, or all", async () => {
    const store = makeStore();
    const one = subject();
    for (let attempt = 0; attempt < guardRules.pair.free; attempt += 1) await store.attempt(one);
    await store.forgive(one, false);
    expect(await store.attempt(one)).toBe(0);
    expect(await store.attempt(one)).toBeGreaterThan(0);
    await store.forgive(one, true);
    for (let attempt = 0; attempt < guardRules.pair.free; attempt += 1) {
      expect(await store.attempt(one)).toBe(0);
    }
  });
});

test.each(stores)("a block in %s holds until it is lifted", async (_, makeStore) => {
  const store = makeStore();
  const one = subject();
  expect(await store.blockedFor(one)).toBe(0);
  await store.block(one, 5000);
  expect(await store.blockedFor(one)).toBeGreaterThan(4000);
  await store.forgive(one, false);
  expect(await store.blockedFor(one)).toBeGreaterThan(4000);
  await store.forgive(one, true);
  expect(await store.blockedFor(one)).toBe(0);
});

describe("the guard", () => {
  const make = () => createSignInGuard(createMemoryGuardStore(), (text) => text);
  const refusal = (attempt: Promise<void>) =>
    attempt.then(
      () => "",
      (error: DomainError) => error.reason,
    );

  test("locks an account for guessers from everywhere, and no other", async () => {
    const guard = make();
    for (let from = 0; from < guardRules.account.free; from += 1) {
      expect(await refusal(guard.admit("ada", `192.0.2.${from}`))).toBe("");
    }
    expect(await refusal(guard.admit("ada", "192.0.2.200"))).toBe("SIGN_IN_LOCKED");
    expect(await refusal(guard.admit("grace", "192.0.2.200"))).toBe("");
  });

  test("locks an address that guesses at many accounts, and the IPv6 network of one", async () => {
    const guard = make();
    for (let account = 0; account < guardRules.address.free; account += 1) {
      expect(await refusal(guard.admit(`user ${account}`, "192.0.2.1"))).toBe("");
      expect(await refusal(guard.admit(`user ${account}`, `2001:db8::${account}:1`))).toBe("");
    }
    expect(await refusal(guard.admit("another", "192.0.2.1"))).toBe("SIGN_IN_LOCKED");
    expect(await refusal(guard.admit("another", "2001:db8::ffff"))).toBe("SIGN_IN_LOCKED");
    expect(await refusal(guard.admit("another", "192.0.2.2"))).toBe("");
    expect(await refusal(guard.admit("another", "2001:db8:0:1::1"))).toBe("");
  });

  test("does not let an address buy attempts with an account of its own", async () => {
    const guard = make();
    for (let round = 0; round < guardRules.address.free; round += 1) {
      await guard.admit(`victim ${round}`, "192.0.2.1");
      if (round % 10 !== 0) continue;
      await guard.admit("mallory", "192.0.2.1");
      await guard.succeed("mallory", "192.0.2.1");
    }
    expect(await refusal(guard.admit("another", "192.0.2.1"))).toBe("SIGN_IN_LOCKED");
  });
});

test("each attempt doubles the wait, up to the longest", () => {
  const waits = Array.from({ length: 16 }, (_, attempts) => waitAfter(guardRules.pair, attempts));
  expect(waits).toEqual([0, 0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900]);
});

test("while Redis is away, this process counts by itself", async () => {
  const lost = createRedis({ address: { kind: "standalone", url: "redis://127.0.0.1:9" } });
  const store = createRedisGuardStore(lost);
  const one = subject();
  for (let attempt = 0; attempt < guardRules.pair.free; attempt += 1) await store.attempt(one);
  expect(await store.attempt(one)).toBe(1);
  await store.forgive(one, true);
  expect(await store.attempt(one)).toBe(0);
  await lost.close();
});

test("whoever has used up the attempts gets no new ones when Redis goes away", async () => {
  const other = await startRedis();
  const client = createRedis({ address: { kind: "standalone", url: other.url } });
  await vi.waitFor(() => client.ping());
  const store = createRedisGuardStore(client);
  const one = subject();
  for (let attempt = 0; attempt < guardRules.pair.free; attempt += 1) await store.attempt(one);
  await other.stop();
  await vi.waitFor(() => expect(client.isReady()).toBe(false));
  expect(await store.attempt(one)).toBe(1);
  await client.close();
});

test("a wait in Redis is as long as it says, whenever within a second it begins", async () => {
  const store = createRedisGuardStore(redis);
  const one = subject();
  for (let attempt = 1; attempt < guardRules.pair.free; attempt += 1) await store.attempt(one);
  const [seconds, microseconds] = await redis.command<[string, string]>("time", ["TIME"]);
  await store.attempt(one);
  const key = `tribe:sign-in:${one.key}`;
  const open = Number(await redis.command<string>(key, ["HGET", key, "open"]));
  const attemptTime = Number(seconds) * 1000 + Math.floor(Number(microseconds) / 1000);
  expect(open - attemptTime).toBeGreaterThanOrEqual(1000);
});
