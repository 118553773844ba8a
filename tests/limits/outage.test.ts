import { afterEach, expect, it } from "vitest";
import type { Plan, Taken } from "../../src/limits/bucket.ts";
import { type BucketMode, type Buckets, createBuckets } from "../../src/limits/buckets.ts";
import { createRedis, type Redis } from "../../src/redis/redis.ts";
import { startApp } from "../support/app.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis } from "../support/redis.ts";
import { bucket } from "./support/plans.ts";
import { rest } from "./support/door-calls.ts";

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).toReversed()) await cleanup();
});

async function server() {
  const redisServer = await startRedis();
  cleanups.push(redisServer.stop);
  return redisServer;
}

/** The buckets of one process, with the modes that they went through. */
async function process(url: string): Promise<Buckets & { modes: BucketMode[]; redis: Redis }> {
  const redis = createRedis({ address: { kind: "standalone", url } });
  const modes: BucketMode[] = [];
  const buckets = createBuckets({ redis, onModeChange: (mode) => modes.push(mode) });
  await buckets.start();
  cleanups.push(redis.close, buckets.close);
  return { ...buckets, modes, redis };
}

const never = 1e-9;
const plan: Plan = { buckets: [bucket({ capacity: 40, refillPerSecond: never })] };

/** How many of so many calls are admitted, asked one after the other. */
async function admitted(buckets: Buckets, calls: number, from: Plan = plan): Promise<Taken[]> {
  const taken: Taken[] = [];
  for (let call = 0; call < calls; call++)
    taken.push(await buckets.take({ plan: from, tokens: 0 }));
  return taken.filter(({ outcome }) => outcome === "admitted");
}

it("keeps its share of the limits alone while Redis hangs, and shares again when it is back", async () => {
  const redisServer = await server();
  const processes = await Promise.all(Array.from({ length: 4 }, () => process(redisServer.url)));
  await eventually(() => expect(processes.map((one) => one.processes())).toEqual([4, 4, 4, 4]));
  const [first] = processes as [(typeof processes)[0]];
  expect(await admitted(first, 50)).toHaveLength(40);

  redisServer.kill("SIGSTOP");
  // Whoever comes first waits a moment; the answer is the same as for those after it.
  const alone = await Promise.all(processes.map((one) => admitted(one, 50)));
  expect(alone.map((taken) => taken.length)).toEqual([10, 10, 10, 10]);
  expect(alone.flat().every(({ isShared, share }) => !isShared && share === 0.25)).toBe(true);
  expect(processes.map((one) => one.mode())).toEqual(["alone", "alone", "alone", "alone"]);
  // From now on nobody waits: the answer is there at once.
  expect(first.take({ plan, tokens: 0 })).not.toBeInstanceOf(Promise);

  redisServer.kill("SIGCONT");
  await eventually(() => expect(processes.map((one) => one.mode())).not.toContain("alone"));
  // Redis kept what it had.
  expect(await admitted(first, 5)).toHaveLength(0);
  expect(first.modes).toEqual(["shared", "alone", "shared"]);
});

it("gives everybody at least one call, however many share a limit", async () => {
  const redisServer = await server();
  const processes = await Promise.all(Array.from({ length: 3 }, () => process(redisServer.url)));
  await eventually(() => expect(processes.map((one) => one.processes())).toEqual([3, 3, 3]));
  redisServer.kill("SIGKILL");
  const one: Plan = { buckets: [bucket({ capacity: 1, refillPerSecond: never })] };
  const taken = await Promise.all(processes.map((process) => admitted(process, 3, one)));
  expect(taken.map(({ length }) => length)).toEqual([1, 1, 1]);
});

it("counts the processes that are there, without those that have ended", async () => {
  const redisServer = await server();
  const [first, second] = [await process(redisServer.url), await process(redisServer.url)];
  await eventually(() => expect(first.processes()).toBe(2));
  await second.close();
  await eventually(() => expect(first.processes()).toBe(1));
});

it("counts the run of an outage for all processes once they agree again, until it ends", async () => {
  const redisServer = await server();
  const first = await process(redisServer.url);
  const second = await process(redisServer.url);
  const runs = { key: "tribe:{u:1}:runs", limit: 1, subject: "user:1" };
  const withRun: Plan = { buckets: [], runs };
  redisServer.kill("SIGSTOP");
  const demand = (runId: string) => ({ plan: withRun, tokens: 0, runId });
  expect(await first.take(demand("of-the-outage"))).toMatchObject({ outcome: "admitted" });
  expect(await first.take(demand("one-too-many"))).toMatchObject({ outcome: "rejected" });
  redisServer.kill("SIGCONT");
  await eventually(() => expect([first.mode(), second.mode()]).toEqual(["shared", "shared"]));
  first.renew(runs.key, ["of-the-outage"]);
  await eventually(async () =>
    expect(
      await second.redis.command(runs.key, ["ZSCORE", runs.key, "of-the-outage"]),
    ).toBeTruthy(),
  );
  first.settle(withRun, [], "of-the-outage", true);
  await eventually(async () =>
    expect(await second.redis.command(runs.key, ["ZSCORE", runs.key, "of-the-outage"])).toBeNull(),
  );
});

it("answers calls while Redis is killed, says so in its health, and comes back by itself", async () => {
  const redisServer = await server();
  const app = await startApp({ REDIS_URL: redisServer.url });
  cleanups.push(app.close);
  async function limitsComponent() {
    const response = await fetch(`${app.baseUrl}/health/detailed`, {
      headers: { "x-api-key": app.key },
    });
    type Component = { name: string; status: string; message: string; figures: object };
    const { components } = (await response.json()) as { components: Component[] };
    return components.find(({ name }) => name === "limits");
  }
  const figure = (name: string) =>
    expect.objectContaining({ [name]: expect.any(Number) as number });
  await eventually(async () =>
    expect(await limitsComponent()).toMatchObject({ status: "HEALTH_STATUS_OK" }),
  );
  redisServer.kill("SIGKILL");
  await eventually(async () => {
    const outcome = await rest(app, app.key, "SendMessage", { content: [{ text: "Hello" }] });
    expect(outcome.code).toBe("OK");
    expect(outcome.headers).toHaveProperty("x-ratelimit-remaining-tokens");
    expect(await limitsComponent()).toMatchObject({
      status: "HEALTH_STATUS_DEGRADED",
      message: "Redis does not answer: this process gives away 1/1 of every limit by itself",
      figures: figure("decided_alone"),
    });
  });
  await redisServer.start();
  await eventually(async () =>
    expect(await limitsComponent()).toMatchObject({
      status: "HEALTH_STATUS_OK",
      figures: figure("outages"),
    }),
  );
  expect((await rest(app, app.key, "ListModels")).code).toBe("OK");
});

it("keeps the whole limits in the process where there is no Redis", async () => {
  const buckets = createBuckets({ redis: undefined });
  await buckets.start();
  expect(await admitted(buckets, 50)).toHaveLength(40);
  expect(buckets.mode()).toBe("in_process");
});
