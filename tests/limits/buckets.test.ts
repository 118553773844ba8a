import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { Bucket, Demand, Plan } from "../../src/limits/bucket.ts";
import { createMemoryBuckets } from "../../src/limits/memory-buckets.ts";
import { createRedisBuckets, type RedisBuckets } from "../../src/limits/redis-buckets.store.ts";
import { createRedis, type Redis } from "../../src/redis/redis.ts";
import { eventually, until } from "../support/eventually.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { bucket } from "./support/plans.ts";

let server: TestRedis;
let redis: Redis;
let shared: RedisBuckets;
beforeAll(async () => {
  server = await startRedis();
  redis = createRedis({ address: { kind: "standalone", url: server.url } });
  shared = createRedisBuckets(redis);
  await until(() => redis.isReady());
});
afterAll(async () => {
  await redis.close();
  await server.stop();
});

let names = 0;
/** Keys that nothing has touched before. */
function fresh(): string {
  names += 1;
  return `tribe:{u:${names}}`;
}

/** So slow that a test sees none of it. */
const never = 1e-9;

type Step = { tokens: number; wanted: boolean[]; settle: boolean; withRun: boolean };
const steps = fc.array(
  fc.record<Step>({
    tokens: fc.integer({ min: 0, max: 40 }),
    wanted: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
    settle: fc.boolean(),
    withRun: fc.boolean(),
  }),
  { maxLength: 30 },
);
const capacities = fc.array(fc.integer({ min: 1, max: 25 }), { minLength: 3, maxLength: 3 });

/** What the script does, in words a child would use. */
function createModel() {
  const spent = new Map<string, number>();
  const runs = new Set<string>();
  const left = ({ key, capacity }: Bucket) => capacity - (spent.get(key) ?? 0);
  const costOf = ({ unit }: Bucket, tokens: number) => (unit === "tokens" ? tokens : 1);
  function spend(one: Bucket, amount: number) {
    spent.set(one.key, Math.max(0, (spent.get(one.key) ?? 0) + amount));
  }
  return {
    take({ plan, tokens, runId }: Demand) {
      const fits = plan.buckets.every(
        (one) => left(one) >= Math.min(one.capacity, costOf(one, tokens)),
      );
      const isFree = plan.runs === undefined || runs.size < plan.runs.limit;
      const underWay = plan.runs === undefined ? 0 : runs.size;
      if (fits && isFree) {
        for (const one of plan.buckets) spend(one, costOf(one, tokens));
        if (plan.runs !== undefined && runId !== undefined) runs.add(runId);
      }
      const outcome = fits && isFree ? "admitted" : "rejected";
      return { outcome, levels: plan.buckets.map(left), runs: underWay };
    },
    settle(plan: Plan, amount: number, runId: string) {
      for (const one of plan.buckets) spend(one, amount);
      runs.delete(runId);
    },
  };
}

it("takes from all buckets or from none, as a simple model does, in Redis and in the process", async () => {
  await fc.assert(
    fc.asyncProperty(capacities, steps, async (sizes, script) => {
      const tag = fresh();
      const units = ["requests", "tokens", "tokens"] as const;
      const all = sizes.map((capacity, index) =>
        bucket({
          key: `${tag}:${index}`,
          unit: units[index] ?? "tokens",
          capacity,
          refillPerSecond: never,
        }),
      );
      const runs = { key: `${tag}:runs`, limit: 3, subject: "user:1" };
      const own = createMemoryBuckets();
      const model = createModel();
      for (const [index, { tokens, wanted, settle, withRun }] of script.entries()) {
        const buckets = all.filter((_, at) => wanted[at]);
        const plan: Plan = { buckets, ...(withRun && { runs }) };
        const runId = `run-${index}`;
        if (settle) {
          const tokenPlan: Plan = { buckets: buckets.filter((one) => one.unit === "tokens"), runs };
          const amounts = tokenPlan.buckets.map(() => tokens - 20);
          const ended = `run-${index - 1}`;
          await shared.settle(tokenPlan, amounts, ended);
          own.settle(tokenPlan, amounts);
          own.end(runs.key, ended);
          model.settle(tokenPlan, tokens - 20, ended);
          continue;
        }
        if (plan.buckets.length === 0 && plan.runs === undefined) continue;
        const demand: Demand = { plan, tokens, runId };
        const expected = model.take(demand);
        const inRedis = await shared.take(demand);
        const inProcess = own.take(demand);
        expect(inRedis).toMatchObject(expected);
        expect(inProcess).toMatchObject({ outcome: expected.outcome, runs: expected.runs });
        for (const [at, level] of expected.levels.entries()) {
          expect(inProcess.levels[at]).toBeCloseTo(level, 3);
        }
      }
    }),
    { numRuns: 60 },
  );
});

it("refills with Redis's own time, keeps every digit, and keeps nothing of a full bucket", async () => {
  const key = fresh();
  const plan: Plan = { buckets: [bucket({ key, capacity: 1000, refillPerSecond: 500 })] };
  const time = async () => {
    const [seconds, micros] = await redis.command<[string, string]>("", ["TIME"]);
    return Number(seconds) + Number(micros) / 1e6;
  };
  const begun = await time();
  let admitted = 0;
  for (let call = 0; call < 1500; call++) {
    if ((await shared.take({ plan, tokens: 0 })).outcome === "admitted") admitted += 1;
  }
  const [level = 0] = (await shared.take({ plan, tokens: 0 })).levels;
  const seconds = (await time()) - begun;
  // What was there and came in, less what was taken, is what is left.
  expect(level).toBeLessThanOrEqual(1000 + seconds * 500 - admitted);
  expect(level).toBeGreaterThan(-1);
  expect(await redis.command<number>(key, ["STRLEN", key])).toBe(16);
  expect(await redis.command<number>(key, ["PTTL", key])).toBeLessThanOrEqual(2000);
  await eventually(async () => expect(await redis.command(key, ["EXISTS", key])).toBe(0));
});

it("admits what costs more than a bucket can hold when it is full, and lets it owe the rest", async () => {
  const key = fresh();
  const plan: Plan = {
    buckets: [bucket({ key, unit: "tokens", capacity: 100, refillPerSecond: never })],
  };
  const demand = { plan, tokens: 250, runId: "run" };
  expect(await shared.take(demand)).toMatchObject({ outcome: "admitted", levels: [-150] });
  expect(await shared.take({ ...demand, tokens: 1 })).toMatchObject({ outcome: "rejected" });
  await shared.settle(plan, [-240], undefined);
  expect(await shared.take({ ...demand, tokens: 90 })).toMatchObject({
    outcome: "admitted",
    levels: [0],
  });
});

it("takes nothing for a key that was used, and gives it to nobody else", async () => {
  const tag = fresh();
  const plan: Plan = {
    buckets: [bucket({ key: `${tag}:requests`, capacity: 3, refillPerSecond: never })],
    runs: { key: `${tag}:runs`, limit: 3, subject: "user:1" },
  };
  const demand = { plan, tokens: 0, runId: "first", idempotencyKey: `${tag}:idempotency:k` };
  expect(await shared.take(demand)).toMatchObject({ outcome: "admitted", levels: [2] });
  for (const runId of ["second", "third", "fourth"]) {
    expect(await shared.take({ ...demand, runId })).toMatchObject({ outcome: "known" });
  }
  const other = { ...demand, runId: "other", idempotencyKey: `${tag}:idempotency:other` };
  expect(await shared.take(other)).toMatchObject({ outcome: "admitted", levels: [1], runs: 1 });
});

it("frees the place of a run that nobody renews, and keeps that of one that is renewed", async () => {
  const tag = fresh();
  const runs = { key: `${tag}:runs`, limit: 2, subject: "user:1" };
  const demand = (runId: string): Demand => ({ plan: { buckets: [], runs }, tokens: 0, runId });
  expect(await shared.take(demand("dead"))).toMatchObject({ outcome: "admitted", runs: 0 });
  expect(await shared.take(demand("alive"))).toMatchObject({ outcome: "admitted", runs: 1 });
  expect(await shared.take(demand("third"))).toMatchObject({ outcome: "rejected", runs: 2 });
  // As if the lease of both had been over just now.
  const ids = ["dead", "alive"];
  await redis.command(runs.key, ["ZADD", runs.key, ...ids.flatMap((id) => ["1", id])]);
  await shared.renew(runs.key, ["alive"]);
  expect(await shared.take(demand("third"))).toMatchObject({ outcome: "admitted", runs: 1 });
  const lease = await redis.command<number>(runs.key, ["PTTL", runs.key]);
  expect(lease).toBeGreaterThan(0);
  expect(lease).toBeLessThanOrEqual(30_000);
});

it("works again when Redis has forgotten the scripts", async () => {
  const plan: Plan = { buckets: [bucket({ key: fresh(), refillPerSecond: never })] };
  await shared.take({ plan, tokens: 0 });
  await redis.command("", ["SCRIPT", "FLUSH"]);
  expect(await shared.take({ plan, tokens: 0 })).toMatchObject({ levels: [8] });
});
