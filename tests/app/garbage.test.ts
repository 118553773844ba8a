/**
 * What a turn makes is garbage when it ends: V8 collects the young generation often and cheaply,
 * and what survives is paid for again in full collections. A per-call object literal with an
 * accessor, an instance with a function of its own, or a busy Set that holds its calls is enough to
 * let whole turns grow old (ARCHITECTURE.md, "Fast where every turn goes").
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { startProgram, type TestProgram } from "../support/program.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const key = "administrator-of-the-tests";
/** One collection for some two hundred turns. */
const youngMegabytes = 32;
const turnsAtOnce = 8;

let database: TestDatabase;
let redis: TestRedis;
let provider: ProviderServer;
let program: TestProgram;

beforeAll(async () => {
  [database, redis, provider] = await Promise.all([
    createDatabase(),
    startRedis(),
    startProviderServer({ reply: { text: Array.from({ length: 40 }, () => "one more piece ") } }),
  ]);
  program = await startProgram(
    {
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      ADMIN_API_KEY: key,
      SECRET_KEY: "a secret of the tests that is long enough",
      OPENAI_API_KEY: "sk-test",
      OPENAI_BASE_URL: provider.openaiUrl,
      METRICS_PORT: "off",
      LOG_LEVEL: "warn",
    },
    [
      `--min-semi-space-size=${youngMegabytes}`,
      `--max-semi-space-size=${youngMegabytes}`,
      "--trace-gc-nvp",
    ],
  );
});
afterAll(async () => {
  await program?.close();
  await Promise.all([database?.close(), redis?.stop(), provider?.close()]);
});

async function ask(path: string): Promise<void> {
  const response = await fetch(program.baseUrl + path, {
    method: "POST",
    headers: { authorization: `Bearer ${key}`, "content-type": "application/json" },
    body: JSON.stringify({ content: [{ text: "Hello" }], cache: "CACHE_MODE_BYPASS" }),
  });
  expect(response.status).toBe(200);
  await response.text();
}

async function askOften(path: string, turns: number): Promise<void> {
  let asked = 0;
  const loop = async () => {
    while (asked++ < turns) await ask(path);
  };
  await Promise.all(Array.from({ length: turnsAtOnce }, loop));
}

interface Collected {
  /** How often the young generation was collected. */
  collections: number;
  /** What was allocated between the collections, in bytes. */
  allocated: number;
  /** What outlived them: a byte that outlives two counts twice. */
  survived: number;
}

function collected(output: string): Collected {
  const lines = output.split("\n").filter((line) => line.includes(" gc=s "));
  const sum = (name: string) =>
    lines.reduce((bytes, line) => bytes + Number(new RegExp(` ${name}=(\\d+)`).exec(line)?.[1]), 0);
  return {
    collections: lines.length,
    allocated: sum("allocated"),
    survived: sum("promoted") + sum("new_space_survived"),
  };
}

test.for(["/api/v1/chat", "/api/v1/chat:stream"])("%s", async (path) => {
  await askOften(path, 300);
  const before = collected(program.output());
  await askOften(path, 800);
  const after = collected(program.output());
  expect(after.collections - before.collections).toBeGreaterThan(1);
  const share = (after.survived - before.survived) / (after.allocated - before.allocated);
  // What is under way when a collection comes. It had been 0.43.
  expect(share).toBeLessThan(0.25);
});
