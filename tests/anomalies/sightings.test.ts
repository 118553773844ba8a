import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { createMemorySightings, type Sightings } from "../../src/anomalies/sightings.ts";
import { createRedisSightings } from "../../src/anomalies/sightings.store.ts";
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

const makers: [string, () => Sightings][] = [
  ["this process", () => createMemorySightings()],
  ["Redis", () => createRedisSightings(redis)],
];
let number = 0;
const rule = (limit: number) => ({ key: `test:${(number += 1)}`, windowMs: 60_000, limit });

describe.each(makers)("counting in %s", (_, make) => {
  test("tells once that there are too many", async () => {
    const sightings = make();
    const one = rule(5);
    expect(await sightings.count(one, 4)).toBe(0);
    expect(await sightings.count(rule(5), 4)).toBe(0);
    expect(await sightings.count(one, 2)).toBe(6);
    expect(await sightings.count(one, 100)).toBe(0);
  });

  test("tells once that there are too many different ones", async () => {
    const sightings = make();
    const one = rule(3);
    expect(await sightings.distinct(one, ["a", "b", "a"])).toBe(0);
    expect(await sightings.distinct(one, ["a", "b"])).toBe(0);
    expect(await sightings.distinct(one, ["c", "a"])).toBe(3);
    expect(await sightings.distinct(one, ["d"])).toBe(0);
  });
});

test("of several processes one tells", async () => {
  const processes = Array.from({ length: 4 }, () => createRedisSightings(redis));
  const one = rule(50);
  const counts = await Promise.all(
    Array.from({ length: 100 }, (_, index) => processes[index % 4]!.count(one, 1)),
  );
  expect(counts.filter((count) => count > 0)).toEqual([50]);
  const other = rule(10);
  const distinct = await Promise.all(
    Array.from({ length: 40 }, (_, index) =>
      processes[index % 4]!.distinct(other, [`address ${index % 20}`]),
    ),
  );
  expect(distinct.filter((count) => count > 0)).toEqual([10]);
});

test("what was seen too long ago does not count", async () => {
  let now = 0;
  const sightings = createMemorySightings(() => now);
  const one = rule(3);
  await sightings.count(one, 2);
  await sightings.distinct({ ...one, key: "other" }, ["a", "b"]);
  now = one.windowMs;
  expect(await sightings.count(one, 2)).toBe(0);
  expect(await sightings.distinct({ ...one, key: "other" }, ["c"])).toBe(0);
  const soon = { ...rule(3), windowMs: 5 };
  const store = createRedisSightings(redis);
  await store.distinct(soon, ["a", "b"]);
  await vi.waitFor(async () =>
    expect(await redis.command(soon.key, ["EXISTS", `tribe:sightings:{${soon.key}}`])).toBe(0),
  );
});

test("while Redis is away, this process counts by itself", async () => {
  const lost = createRedis({ address: { kind: "standalone", url: "redis://127.0.0.1:9" } });
  const sightings = createRedisSightings(lost);
  const one = rule(2);
  expect(await sightings.count(one, 2)).toBe(2);
  expect(await sightings.distinct(rule(2), ["a", "b"])).toBe(2);
  await lost.close();
});
