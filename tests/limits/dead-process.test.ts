import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { startApp, type TestApp } from "../support/app.ts";
import { eventually } from "../support/eventually.ts";
import { startProgram, type TestProgram } from "../support/program.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { clientsOf, createUserWithKey } from "../identity/clients.ts";
import { rest } from "./support/door-calls.ts";

let provider: ProviderServer;
let redisServer: TestRedis;
let app: TestApp;
let program: TestProgram;

/** One service in this process, and one that can be killed. */
beforeAll(async () => {
  provider = await startProviderServer();
  redisServer = await startRedis();
  const environment = {
    OPENAI_API_KEY: "sk-test",
    OPENAI_BASE_URL: provider.openaiUrl,
    REDIS_URL: redisServer.url,
  };
  app = await startApp(environment);
  program = await startProgram({
    ...environment,
    DATABASE_URL: app.database.url,
    ADMIN_API_KEY: app.key,
  });
});
afterAll(async () => {
  await program?.close();
  await app?.close();
  await redisServer?.stop();
  await provider?.close();
});

const hello = { content: [{ text: "Hello" }] };

it("frees the places of a dead process's runs, and none before their lease is over", async () => {
  const administrator = clientsOf(app.baseUrl, app.key);
  const user = await createUserWithKey(administrator, app.baseUrl);
  await administrator.admin.updateSettings({
    settings: { values: { limits: { users: { [user.userId]: { concurrentRuns: 1 } } } } },
  });
  provider.script({ text: ["one ", "two "], hang: 1 });
  const calls = provider.calls;
  const cut = fetch(`${program.baseUrl}/api/v1/chat:stream`, {
    method: "POST",
    headers: { "x-api-key": user.key, "content-type": "application/json" },
    body: JSON.stringify(hello),
  }).then((response) => response.text());
  await eventually(() => expect(provider.calls).toBe(calls + 1));
  const ask = () => rest(app, user.key, "SendMessage", hello);
  await eventually(async () => expect((await ask()).code).toBe("RESOURCE_EXHAUSTED"));
  program.child.kill("SIGKILL");
  await expect(cut).rejects.toThrow("terminated");
  expect((await ask()).code).toBe("RESOURCE_EXHAUSTED");
  await vi.waitFor(async () => expect((await ask()).code).toBe("OK"), {
    timeout: 60_000,
    interval: 500,
  });
}, 90_000);
