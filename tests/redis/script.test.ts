import { afterAll, beforeAll, expect, it } from "vitest";
import { waitUntil } from "../../src/embedded/process.ts";
import { createRedis, type Redis } from "../../src/redis/redis.ts";
import { defineScript, runScript } from "../../src/redis/script.ts";
import { type Span, withSpan } from "../../src/telemetry/span.ts";
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

/** The spans below a sampled call that does `work`: names, what they are told, and how they end. */
async function spansOf(work: () => Promise<unknown>): Promise<Record<string, unknown>[]> {
  const spans: Record<string, unknown>[] = [];
  function keep(told: Record<string, unknown>): Span {
    return {
      traceId: "0".repeat(32),
      spanId: "0".repeat(16),
      recordsContent: false,
      providerHeaders: undefined,
      isEnded: false,
      child(name, _, attributes) {
        const entry = { name, ...attributes };
        spans.push(entry);
        return keep(entry);
      },
      set: (attributes) => void Object.assign(told, attributes),
      end: (errorType) => void Object.assign(told, { errorType }),
    };
  }
  await withSpan(keep({}), work).catch(() => undefined);
  return spans;
}

it("is no failure of a trace when Redis did not know it, and one when Redis refuses", async () => {
  const key = "{user:4}:count";
  await redis.command("", ["SCRIPT", "FLUSH"]);
  expect(await spansOf(() => runScript(redis, add, [key], ["5"]))).toMatchObject([
    { name: "redis EVALSHA", "db.response.status_code": "NOSCRIPT", errorType: undefined },
    { name: "redis EVAL", errorType: undefined },
  ]);
  const wrongType = () => redis.command(key, ["LPUSH", key, "a"]);
  expect(await spansOf(wrongType)).toMatchObject([
    { name: "redis LPUSH", "db.response.status_code": "WRONGTYPE", errorType: "WRONGTYPE" },
  ]);
});

it("fails with what it raises, and is not run twice for it", async () => {
  const raise = defineScript(
    "redis.call('INCR', KEYS[1]) return redis.error_reply('OUT_OF_BUDGET')",
  );
  await expect(runScript(redis, raise, ["{user:3}:count"])).rejects.toThrow("OUT_OF_BUDGET");
  expect(await redis.command("{user:3}:count", ["GET", "{user:3}:count"])).toBe("1");
});
