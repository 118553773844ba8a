import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import {
  type AnswerCacheStore,
  createMemoryAnswerCache,
  createRedisAnswerCache,
} from "../../src/chat/answer-cache.store.ts";
import { createRedis, type Redis } from "../../src/redis/redis.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: Redis;

beforeAll(async () => {
  server = await startRedis();
  redis = createRedis({ address: { kind: "standalone", url: server.url } });
  await vi.waitUntil(redis.isReady);
});
afterAll(async () => {
  await redis?.close();
  await server?.stop();
});

describe.each(["Redis", "memory"])("the cache in %s", (kind) => {
  let store: AnswerCacheStore;
  let digest: string;
  beforeEach(() => {
    store = kind === "Redis" ? createRedisAnswerCache(redis) : createMemoryAnswerCache();
    digest = randomUUID();
  });

  it("lets one ask, and gives the others its answer", async () => {
    expect(await store.look(digest, "a")).toEqual({ state: "leading" });
    expect(await store.look(digest, "b")).toEqual({ state: "asked" });
    expect(await store.look(`other ${digest}`, "b")).toEqual({ state: "leading" });
    await store.keep(digest, "a", "run-a", 60);
    expect(await store.look(digest, "b")).toEqual({ state: "answered", runId: "run-a" });
    expect(await store.look(digest, "c")).toEqual({ state: "answered", runId: "run-a" });
  });

  it("lets another ask when the first has no answer", async () => {
    await store.look(digest, "a");
    await store.release(digest, "b");
    expect(await store.look(digest, "b")).toEqual({ state: "asked" });
    await store.release(digest, "a");
    expect(await store.look(digest, "b")).toEqual({ state: "leading" });
  });

  it("forgets an answer after its time", async () => {
    await store.keep(digest, "a", "run-a", 1);
    await expect
      .poll(() => store.look(digest, "b"), { timeout: 5_000 })
      .toEqual({ state: "leading" });
  });
});

it("lets another ask when the first is dead, and not while it renews its lease", async () => {
  const store = createRedisAnswerCache(redis);
  const key = "tribe:answer:{left}:lease";
  const remaining = () => redis.command<number>(key, ["PTTL", key]);
  await store.look("left", "a");
  await redis.command(key, ["PEXPIRE", key, "5000"]);
  await store.renew("left", "b");
  expect(await remaining()).toBeLessThanOrEqual(5000);
  await store.renew("left", "a");
  expect(await remaining()).toBeGreaterThan(5000);
  await redis.command(key, ["PEXPIRE", key, "1"]);
  await expect.poll(() => store.look("left", "b")).toEqual({ state: "leading" });
  // The dead one comes back: it may give its answer, but not end the other's asking.
  await store.release("left", "a");
  expect(await store.look("left", "c")).toEqual({ state: "asked" });
});
