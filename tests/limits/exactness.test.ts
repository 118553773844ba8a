import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { createRedis, type Redis } from "../../src/redis/redis.ts";
import { until } from "../support/eventually.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { hammeredPlan } from "./support/plans.ts";

let server: TestRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = createRedis({ address: { kind: "standalone", url: server.url } });
  await until(() => redis.isReady());
});
afterAll(async () => {
  await redis.close();
  await server.stop();
});

const callsEach = 1000;

/** Seconds of Redis's own clock. */
async function redisTime(): Promise<number> {
  const [seconds, micros] = await redis.command<[string, string]>("", ["TIME"]);
  return Number(seconds) + Number(micros) / 1e6;
}

function startWorker() {
  const script = join(import.meta.dirname, "exactness-worker.ts");
  const child = spawn(process.execPath, [script, server.url, String(callsEach)], {
    stdio: ["pipe", "pipe", "inherit"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  const exited = once(child, "exit");
  return {
    ready: () => output.includes("ready\n"),
    go: () => child.stdin.write("go\n"),
    async result() {
      await exited;
      return JSON.parse(output.split("\n")[1] ?? "") as { admitted: number; alone: number };
    },
  };
}

it("never lets four processes together take one more than a bucket holds", async () => {
  const workers = Array.from({ length: 4 }, startWorker);
  await until(() => workers.every(({ ready }) => ready()));
  const begun = await redisTime();
  for (const { go } of workers) go();
  const results = await Promise.all(workers.map(({ result }) => result()));
  const seconds = (await redisTime()) - begun;

  expect(results.map(({ alone }) => alone)).toEqual([0, 0, 0, 0]);
  const admitted = results.reduce((sum, result) => sum + result.admitted, 0);
  const { capacity, refillPerSecond } = hammeredPlan.buckets[0]!;
  expect(admitted).toBeLessThanOrEqual(Math.floor(capacity + seconds * refillPerSecond));
  // Nor one less than was there when they had all begun: they asked for far more than that.
  expect(admitted).toBeGreaterThanOrEqual(capacity);
  expect(admitted).toBeLessThan(4 * callsEach);
});
