import { randomUUIDv7 } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import type { JsonObject } from "@bufbuild/protobuf";
import { startApp, type TestApp } from "../support/app.ts";
import { eventually, until } from "../support/eventually.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { clientsOf, createUserWithKey, failureOf, type Clients } from "../identity/clients.ts";
import { doorCalls, rest, type Outcome, type RpcName } from "./support/door-calls.ts";

let provider: ProviderServer;
let redisServer: TestRedis;
let one: TestApp;
let two: TestApp;
let administrator: Clients;

/** Two services on one database and one Redis. */
beforeAll(async () => {
  provider = await startProviderServer({
    reply: { text: ["Good ", "day"], usage: { freshInputTokens: 40, outputTokens: 3 } },
  });
  redisServer = await startRedis();
  const environment = {
    OPENAI_API_KEY: "sk-test",
    OPENAI_BASE_URL: provider.openaiUrl,
    REDIS_URL: redisServer.url,
  };
  one = await startApp(environment);
  two = await startApp({ ...environment, DATABASE_URL: one.database.url });
  administrator = clientsOf(one.baseUrl, one.key);
});
afterAll(async () => {
  await two?.close();
  await one?.close();
  await redisServer?.stop();
  await provider?.close();
});

/** So slow that a test sees nothing come in. */
const slowly = (burst: number) => ({ perMinute: 0.001, burst });
const hello = { content: [{ text: "Hello" }] };
const ours = new Map<string, JsonObject>();

/** Makes a user with these limits, and waits until both services know them. */
async function userWith(limits: JsonObject) {
  const user = await createUserWithKey(administrator, one.baseUrl);
  ours.set(user.userId, { ...limits });
  // What the administrator sees of it tells that a service knows.
  const marker = 1_000_000 + ours.size;
  const admin = { requests: { perMinute: 1_000_000, burst: marker } };
  await administrator.admin.updateSettings({
    settings: { values: { limits: { users: Object.fromEntries(ours), roles: { admin } } } },
  });
  await eventually(async () => {
    const outcome = await rest(two, two.key, "ListModels");
    expect(standing(outcome, "requests").limit).toBe(marker);
  });
  return user;
}

function standing({ headers }: Outcome, unit: "requests" | "tokens") {
  return {
    limit: Number(headers[`x-ratelimit-limit-${unit}`]),
    remaining: Number(headers[`x-ratelimit-remaining-${unit}`]),
    reset: headers[`x-ratelimit-reset-${unit}`],
  };
}

const alone = "Redis does not answer: this process keeps its share of the limits alone";
const together = "limits are kept in Redis";
function limitMessages({ log }: TestApp): unknown[] {
  return log.map(({ msg }) => msg).filter((msg) => msg === alone || msg === together);
}

const rpcs: RpcName[] = ["SendMessage", "StreamMessage", "ListModels"];

for (const [name, call] of Object.entries(doorCalls)) {
  it(`tells over ${name} how the caller stands, and what was met`, async () => {
    const user = await userWith({ requests: slowly(4), tokens: slowly(100_000) });
    const left: number[] = [];
    for (const rpc of rpcs) {
      const outcome = await call(one, user.key, rpc, hello);
      expect(outcome.code).toBe("OK");
      const requests = standing(outcome, "requests");
      expect(requests.limit).toBe(4);
      expect(requests.reset).toMatch(/^\d+(\.\d{1,3})?s$/);
      left.push(requests.remaining);
      if (rpc === "ListModels") continue;
      const tokens = standing(outcome, "tokens");
      expect(tokens.limit).toBe(100_000);
      expect(tokens.remaining).toBeLessThan(100_000);
      expect(tokens.reset).toMatch(/^\d+(\.\d{1,3})?s$/);
    }
    expect(left).toEqual([3, 2, 1]);
    expect((await call(two, user.key, "ListModels")).code).toBe("OK");

    for (const rpc of rpcs) {
      const refused = await call(one, user.key, rpc, hello);
      expect(refused).toMatchObject({
        code: "RESOURCE_EXHAUSTED",
        details: {
          ErrorInfo: { reason: "LIMIT_EXCEEDED", domain: "tribe" },
          QuotaFailure: {
            violations: [
              {
                subject: `user:${user.userId}`,
                description: "limit user.requests: 0.001 requests a minute, at most 4 at once",
              },
            ],
          },
        },
      });
      expect(refused.status).toBe(name === "rest" ? 429 : undefined);
      expect(standing(refused, "requests")).toMatchObject({ limit: 4, remaining: 0 });
      const wait = Number.parseFloat(String(refused.details["RetryInfo"]?.["retryDelay"]));
      expect(wait).toBeGreaterThan(59_000);
      expect(wait).toBeLessThanOrEqual(60_000);
      expect(Number(refused.headers["retry-after"])).toBe(Math.ceil(wait));
    }
  });
}

it("tells how the caller stands in the errors of what it did, too", async () => {
  const user = await userWith({ requests: slowly(10) });
  for (const [index, call] of Object.values(doorCalls).entries()) {
    const nowhere = { ...hello, conversationId: randomUUIDv7() };
    const outcome = await call(one, user.key, "SendMessage", nowhere);
    expect(outcome.code).toBe("NOT_FOUND");
    expect(standing(outcome, "requests")).toMatchObject({ limit: 10, remaining: 9 - index });
  }
  const response = await fetch(`${one.baseUrl}/api/v1/conversations/${randomUUIDv7()}`, {
    headers: { "x-api-key": user.key },
  });
  expect(response.status).toBe(404);
  expect(response.headers.get("x-ratelimit-remaining-requests")).toBe("6");
});

it("never limits health", async () => {
  const user = await userWith({ requests: slowly(1) });
  expect((await rest(one, user.key, "ListModels")).code).toBe("OK");
  for (let probe = 0; probe < 5; probe++) {
    const response = await fetch(`${one.baseUrl}/health`, { headers: { "x-api-key": user.key } });
    expect(response.status).toBe(200);
    expect(response.headers.has("x-ratelimit-limit-requests")).toBe(false);
  }
});

it("counts what a turn really used, whatever had been reserved for it", async () => {
  const user = await userWith({ tokens: slowly(100_000) });
  const first = await rest(one, user.key, "SendMessage", { ...hello, maxOutputTokens: 500 });
  expect(standing(first, "tokens").remaining).toBeGreaterThanOrEqual(99_400);
  expect(standing(first, "tokens").remaining).toBeLessThan(99_500);
  await eventually(async () => {
    const again = { ...hello, maxOutputTokens: 1, model: "does-not-exist" };
    const refused = await rest(two, user.key, "SendMessage", again);
    // Nothing is there but the 43 tokens that the provider counted: what is refused gives back.
    expect(refused.code).toBe("INVALID_ARGUMENT");
    const { remaining } = standing(refused, "tokens");
    expect(remaining).toBeLessThan(100_000 - 43);
    expect(remaining).toBeGreaterThan(100_000 - 43 - 20);
  });
});

it("takes nothing for a retry with the same key, at any process", async () => {
  const user = await userWith({ requests: slowly(3), tokens: slowly(100_000) });
  const request = { ...hello, idempotencyKey: randomUUIDv7() };
  const first = await rest(one, user.key, "SendMessage", request);
  for (let retry = 0; retry < 6; retry++) {
    const again = await rest(retry % 2 === 0 ? two : one, user.key, "SendMessage", request);
    expect(again.answer).toEqual(first.answer);
  }
  // Also once Redis has forgotten the key: the database has not.
  redisServer.kill("SIGKILL");
  await until(() => limitMessages(two).at(-1) === alone);
  await redisServer.start();
  await until(() => limitMessages(two).at(-1) === together);
  for (let retry = 0; retry < 6; retry++) {
    const again = await rest(two, user.key, "SendMessage", request);
    expect(again.answer).toEqual(first.answer);
  }
  const next = await rest(two, user.key, "ListModels");
  expect(standing(next, "requests").remaining).toBe(2);
});

it("counts a request that is refused, but not its tokens", async () => {
  const user = await userWith({ requests: slowly(5), tokens: slowly(1000), concurrentRuns: 1 });
  const nowhere = { ...hello, conversationId: randomUUIDv7(), maxOutputTokens: 900 };
  for (let call = 0; call < 3; call++) {
    await eventually(async () => {
      const outcome = await rest(one, user.key, "SendMessage", nowhere);
      expect(outcome.code).toBe("NOT_FOUND");
    });
  }
  await eventually(async () => {
    const outcome = await rest(one, user.key, "ListModels");
    expect(standing(outcome, "requests").remaining).toBeLessThanOrEqual(1);
  });
});

it("keeps an API key to its own limits beside those of its user", async () => {
  const user = await userWith({ requests: slowly(100) });
  const { secret, apiKey } = await user.identity.createApiKey({
    name: "small",
    limits: { requestsPerMinute: 2 },
  });
  const outcomes: Outcome[] = [];
  for (let call = 0; call < 3; call++) outcomes.push(await rest(one, secret, "ListModels"));
  expect(outcomes.map(({ code }) => code)).toEqual(["OK", "OK", "RESOURCE_EXHAUSTED"]);
  expect(outcomes.map((outcome) => standing(outcome, "requests").limit)).toEqual([2, 2, 2]);
  expect(outcomes[2]?.details["QuotaFailure"]).toEqual({
    violations: [
      {
        subject: `api_key:${apiKey?.apiKeyId}`,
        description: "limit api_key.requests: 2 requests a minute, at most 2 at once",
      },
    ],
  });
  expect((await rest(one, user.key, "ListModels")).code).toBe("OK");
});

it("limits a model and an endpoint class by themselves", async () => {
  const { models } = await administrator.chat.listModels({});
  const [, model = ""] = models.map((one) => one.model);
  const user = await userWith({
    heavy: slowly(1),
    models: { [model]: { requests: slowly(1) } },
  });
  const named = { ...hello, model };
  expect((await rest(one, user.key, "SendMessage", named)).code).toBe("OK");
  const refused = await rest(two, user.key, "SendMessage", named);
  expect(refused.details["QuotaFailure"]).toMatchObject({
    violations: [
      { description: expect.stringContaining(`user.models.${model}.requests`) as string },
    ],
  });
  expect((await rest(two, user.key, "SendMessage", hello)).code).toBe("OK");
  const search = () => user.conversations.searchMessages({ query: "Hello" });
  await search();
  expect(await failureOf(search())).toContain("limit user.heavy");
  expect((await rest(two, user.key, "ListModels")).code).toBe("OK");
});

it("limits runs at once over all processes, and frees the place of one that ends", async () => {
  const user = await userWith({ concurrentRuns: 2 });
  provider.script({ text: ["a", "b"], hang: 1 }, { text: ["a", "b"], hang: 1 });
  const before = provider.calls;
  const controllers = [one, two].map(({ baseUrl }) => {
    const controller = new AbortController();
    void fetch(`${baseUrl}/api/v1/chat:stream`, {
      method: "POST",
      headers: { "x-api-key": user.key, "content-type": "application/json" },
      // The same question would be asked once, for both.
      body: JSON.stringify({ content: [{ text: `Hello to ${baseUrl}` }] }),
      signal: controller.signal,
    })
      .then((response) => response.text())
      .catch(() => undefined);
    return controller;
  });
  await eventually(() => expect(provider.calls).toBe(before + 2));
  const refused = await rest(one, user.key, "SendMessage", hello);
  expect(refused).toMatchObject({
    code: "RESOURCE_EXHAUSTED",
    details: {
      QuotaFailure: {
        violations: [
          {
            subject: `user:${user.userId}`,
            description: "limit user.concurrentRuns: at most 2 runs at once",
          },
        ],
      },
      RetryInfo: { retryDelay: "1s" },
    },
  });
  for (const controller of controllers) controller.abort();
  const running = await one.database.sql<{ id: string }>(
    "select id from runs where user_id = ? and state = 'running'",
    [user.userId],
  );
  expect(running).toHaveLength(2);
  await user.chat.cancelRun({ runId: running[0]!.id });
  await eventually(async () => {
    expect((await rest(two, user.key, "SendMessage", hello)).code).toBe("OK");
  });
  await user.chat.cancelRun({ runId: running[1]!.id });
});

it("applies changed limits in every process without a restart, also unlimited ones", async () => {
  const user = await userWith({ requests: slowly(2) });
  for (const app of [one, two]) {
    await eventually(async () =>
      expect(standing(await rest(app, user.key, "ListModels"), "requests").limit).toBe(2),
    );
  }
  await administrator.admin.updateSettings({
    settings: { values: { limits: { roles: { user: { requests: 7, read: 5 } } } } },
  });
  for (const app of [one, two]) {
    await eventually(async () =>
      expect(standing(await rest(app, user.key, "ListModels"), "requests").limit).toBeOneOf([5, 7]),
    );
  }
  await administrator.admin.updateSettings({
    settings: { values: { limits: { roles: { user: { requests: null } } } } },
  });
  for (const app of [one, two]) {
    await eventually(async () => {
      const outcome = await rest(app, user.key, "ListModels");
      expect(outcome.code).toBe("OK");
      expect(outcome.headers).not.toHaveProperty("x-ratelimit-limit-requests");
    });
  }
});

it("limits public calls by address", async () => {
  await administrator.admin.updateSettings({
    settings: { values: { limits: { address: { requests: slowly(3) } } } },
  });
  const refresh = () =>
    fetch(`${one.baseUrl}/api/v1/auth:refresh`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ refreshToken: "nonsense" }),
    });
  let refused = await refresh();
  await eventually(async () => {
    refused = await refresh();
    expect(refused.status).toBe(429);
  });
  const { details } = (await refused.json()) as { details: JsonObject[] };
  expect(details).toContainEqual(
    expect.objectContaining({
      violations: [
        {
          subject: "address:127.0.0.1",
          description: "limit address.requests: 0.001 requests a minute, at most 3 at once",
        },
      ],
    }),
  );
  await administrator.admin.updateSettings({ settings: { values: {} } });
});

it("looks nothing up for an address that guesses, and lets those go on whom it knows", async () => {
  const user = await userWith({});
  await administrator.admin.updateSettings({
    settings: { values: { limits: { address: { failedAuthentications: slowly(3) } } } },
  });
  const guess = () => rest(one, randomUUIDv7(), "ListModels");
  await eventually(async () => {
    // Whoever was known is forgotten when the process hears of the new settings.
    expect((await rest(one, user.key, "ListModels")).code).toBe("OK");
    expect((await guess()).code).toBe("RESOURCE_EXHAUSTED");
  });
  const refused = await guess();
  expect(refused).toMatchObject({
    status: 429,
    details: {
      QuotaFailure: {
        violations: [
          {
            subject: "address:127.0.0.1",
            description: expect.stringContaining("limit address.failedAuthentications") as string,
          },
        ],
      },
    },
  });
  expect(Number(refused.headers["retry-after"])).toBeGreaterThan(1000);
  expect((await rest(one, user.key, "ListModels")).code).toBe("OK");
  expect((await rest(one, one.key, "ListModels")).code).toBe("OK");
});

it("says what is wrong with limits, and where", async () => {
  const update = (limits: JsonObject) =>
    failureOf(administrator.admin.updateSettings({ settings: { values: { limits } } }));
  expect(await update({ roles: { guest: {} } })).toContain(
    'settings.values.limits: has no role "guest"; there are viewer, user, service, admin',
  );
  expect(await update({ roles: { user: { request: 1 } } })).toContain(
    '.roles.user has no "request"; there are requests, tokens, concurrentRuns, models, chat',
  );
  expect(await update({ users: { someone: { tokens: { perMinute: 0 } } } })).toContain(
    ".users.someone.tokens.perMinute must be a number from 0.001",
  );
  expect(await update({ address: { requests: "many" } })).toContain(
    ".address.requests must be so many a minute, {perMinute, burst}, or null for unlimited",
  );
  expect(await update({ roles: { user: { concurrentRuns: 1.5 } } })).toContain(
    ".roles.user.concurrentRuns must be a whole number from 1, or null for unlimited",
  );
});
