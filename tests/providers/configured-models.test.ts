/** MODELS_FILE in a whole service: keys, fallbacks, ledger, health, settings, two processes. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { Environment } from "../../src/config.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { connectClients } from "../support/clients.ts";
import { eventually } from "../support/eventually.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let folder: string;
let primary: ProviderServer;
let standIn: ProviderServer;
let redis: TestRedis;
let one: TestApp;
let two: TestApp;
let environment: Environment;

const price = { inputMicros: 3_000_000, outputMicros: 7_000_000 };

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "tribe-models-"));
  [primary, standIn, redis] = await Promise.all([
    startProviderServer(),
    startProviderServer(),
    startRedis(),
  ]);
  await writeFile(join(folder, "key"), "sk-from-file\n");
  await writeFile(
    join(folder, "models.json"),
    JSON.stringify({
      priceVersion: "mine-1",
      models: [
        {
          model: "main",
          deployments: [
            {
              provider: "openai",
              model: "upstream",
              keyFrom: "FIRST_KEY",
              baseUrl: primary.openaiUrl,
            },
          ],
          fallbacks: ["spare"],
        },
        {
          model: "spare",
          deployments: [
            {
              provider: "anthropic",
              model: "claude-haiku-4-5",
              name: "spare-claude",
              keyFrom: "SECOND_KEY",
              baseUrl: standIn.url,
            },
          ],
          price,
        },
      ],
    }),
  );
  environment = {
    MODELS_FILE: join(folder, "models.json"),
    FIRST_KEY: "sk-first",
    SECOND_KEY_FILE: join(folder, "key"),
    REDIS_URL: redis.url,
  };
  one = await startApp(environment);
  two = await startApp({ ...environment, DATABASE_URL: one.database.url });
});
afterAll(async () => {
  await two?.close();
  await one?.close();
  await redis?.stop();
  await Promise.all([primary?.close(), standIn?.close()]);
  await rm(folder, { recursive: true, force: true });
});

const sayTo = (app: TestApp, model: string) =>
  connectClients(app).chat.sendMessage({
    model,
    content: [{ part: { case: "text", value: "Hello" } }],
  });
const say = (app: TestApp) => sayTo(app, "main");
async function partOf(app: TestApp, name: string) {
  const { components } = await connectClients(app).health.detailed({});
  return components.find((component) => component.name === `deployment:${name}`);
}

test("uses the keys that the file refers to", async () => {
  await say(one);
  expect(primary.requests.at(-1)?.headers.authorization).toBe("Bearer sk-first");
});

test("a fallback answers under its own name and price, and every process leaves the failed one alone", async () => {
  primary.script({ status: 401 });
  standIn.script({ text: "spare", usage: { freshInputTokens: 100, outputTokens: 10 } });
  const answer = await say(one);
  expect(answer).toMatchObject({
    model: "spare",
    provider: "anthropic",
    costMicros: 370n,
  });
  expect(standIn.requests.at(-1)?.headers).toMatchObject({
    authorization: "Bearer sk-from-file",
  });
  const rows = await one.database.sql(
    "select model, provider, cost_micros::text as cost, price_version from usage where run_id = ?",
    [answer.runId],
  );
  expect(rows).toEqual([
    { model: "spare", provider: "anthropic", cost: "370", price_version: "mine-1" },
  ]);
  expect(one.log.some((line) => line["runId"] === answer.runId && line["attempts"] === 2)).toBe(
    true,
  );

  await eventually(async () => {
    expect(await partOf(two, "main/openai")).toMatchObject({
      message: "is left alone after PROVIDER_AUTHENTICATION_FAILED",
    });
  });
  const calls = primary.calls;
  expect((await say(two)).model).toBe("spare");
  expect(primary.calls).toBe(calls);
});

test("a process that is started with another key does not wait for what the old one suffered", async () => {
  expect(await partOf(two, "main/openai")).toMatchObject({
    message: "is left alone after PROVIDER_AUTHENTICATION_FAILED",
  });
  const repaired = await startApp({
    ...environment,
    FIRST_KEY: "sk-repaired",
    DATABASE_URL: one.database.url,
  });
  onTestFinished(() => repaired.close());
  // It has read the circuits once it knows of one.
  standIn.script({ status: 401 });
  await expect(sayTo(two, "spare")).rejects.toThrow("anthropic refused the operator's key");
  await expect(sayTo(two, "spare")).rejects.toThrow(
    "anthropic is left alone for a moment after it refused the operator's key for spare",
  );
  await eventually(async () => {
    expect((await partOf(repaired, "spare-claude"))?.message).toMatch(/^is left alone/);
  });
  expect((await sayTo(repaired, "main")).model).toBe("main");
  expect(primary.requests.at(-1)?.headers.authorization).toBe("Bearer sk-repaired");
});

test("an administrator switches a deployment off without a restart", async () => {
  const response = await fetch(`${one.baseUrl}/api/v1/settings`, {
    method: "PATCH",
    headers: { authorization: `Bearer ${one.key}`, "content-type": "application/json" },
    body: JSON.stringify({ values: { deployments: { "spare-claude": { disabled: true } } } }),
  });
  expect(response.status).toBe(200);
  for (const app of [one, two]) {
    await eventually(async () => {
      expect((await partOf(app, "spare-claude"))?.message).toBe("switched off");
    });
    await expect(say(app)).rejects.toThrow(/left alone/);
  }
  const wrong = await fetch(`${one.baseUrl}/api/v1/settings`, {
    method: "PATCH",
    headers: { authorization: `Bearer ${one.key}`, "content-type": "application/json" },
    body: JSON.stringify({ values: { deployments: { "spare-claude": { weight: 0 } } } }),
  });
  expect(await wrong.text()).toContain("weight of spare-claude");
});
