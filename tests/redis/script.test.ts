import { afterAll, beforeAll, expect, it } from "vitest";
import { waitUntil } from "../../src/embedded/process.ts";
import { createRedis, type Redis } from "../../src/redis/redis.ts";
import { defineScript, runScript } from "../../src/redis/script.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let server: TestRedis;
let redis: Redis;
beforeAll(async () => {
  server = await startRedis();
  redis = createRedis({ address: { kind: "standalone", url: server.url } });
  await waitUntil(redis.isReady, 10_000);
});
afterAll(async () => {
  await redis.close();
  await server.stop();
});

const add = defineScript("return redis.call('INCRBY', KEYS[1], ARGV[1])");

async function callsOf(command: string): Promise<number> {
  const statistics = String(await redis.command("", ["INFO", "commandstats"]));
  return Number(new RegExp(`cmdstat_${command}:calls=(\\d+)`).exec(statistics)?.[1] ?? 0);
}

it("is sent whole once, and by its name from then on", async () => {
  for (let total = 2; total <= 10; total += 2)
    expect(await runScript(redis, add, ["{user:1}:count"], ["2"])).toBe(total);
  expect(await callsOf("eval")).toBe(1);
  expect(await callsOf("evalsha")).toBe(5);
});

it("is sent again when Redis has forgotten it", async () => {
  await redis.command("", ["SCRIPT", "FLUSH"]);
  expect(await runScript(redis, add, ["{user:2}:count"], ["5"])).toBe(5);
});

it("fails with what it raises, and is not run twice for it", async () => {
  const raise = defineScript(
    "redis.call('INCR', KEYS[1]) return redis.error_reply('OUT_OF_BUDGET')",
  );
  await expect(runScript(redis, raise, ["{user:3}:count"])).rejects.toThrow("OUT_OF_BUDGET");
  expect(await redis.command("{user:3}:count", ["GET", "{user:3}:count"])).toBe("1");
});
