import { afterAll, beforeAll, beforeEach, expect, it, vi } from "vitest";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { CacheMode, type SendMessageRequestSchema } from "../../gen/tribe/v1/chat_pb.js";
import {
  answerCacheScopeSetting,
  answerCacheSecondsSetting,
} from "../../src/chat/cache-settings.ts";
import { createRedis, type Redis } from "../../src/redis/redis.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { connectClients } from "../support/clients.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let provider: ProviderServer;
let redis: TestRedis;
let redisClient: Redis;
let apps: [TestApp, TestApp];
let clients: [ReturnType<typeof connectClients>, ReturnType<typeof connectClients>];

/** Two services on one database and one Redis. */
beforeAll(async () => {
  provider = await startProviderServer();
  redis = await startRedis();
  redisClient = createRedis({ address: { kind: "standalone", url: redis.url } });
  const environment = {
    OPENAI_API_KEY: "sk-test",
    OPENAI_BASE_URL: provider.openaiUrl,
    REDIS_URL: redis.url,
  };
  const one = await startApp(environment, { answerCache: true });
  const two = await startApp(
    { ...environment, DATABASE_URL: one.database.url },
    { answerCache: true },
  );
  apps = [one, two];
  clients = [connectClients(one), connectClients(two)];
});
afterAll(async () => {
  await apps?.[1].close();
  await apps?.[0].close();
  await redisClient?.close();
  await redis?.stop();
  await provider?.close();
});

let question = "";
let asked = 0;
beforeEach((context) => {
  question = context.task.name;
  asked = provider.calls;
});
const calls = () => provider.calls - asked;

type Message = MessageInitShape<typeof SendMessageRequestSchema>;

async function send(message: Message = {}, client = clients[0]) {
  let header = new Headers();
  const response = await client.chat.sendMessage(
    { content: [{ part: { case: "text", value: question } }], ...message },
    { onHeader: (received) => (header = received) },
  );
  const part = response.assistantMessage?.content[0]?.part;
  const text = part?.case === "text" ? part.value : "";
  return { response, text, status: header.get("x-tribe-cache") };
}

it("the same question is answered again without asking, free of charge, at every process", async () => {
  provider.script({ text: "the one answer" });
  const first = await send();
  expect(first).toMatchObject({ status: "miss", text: "the one answer" });
  expect(first.response).toMatchObject({ cached: false });
  for (const client of clients) {
    const again = await send({}, client);
    expect(again).toMatchObject({ status: "hit", text: "the one answer" });
    expect(again.response).toMatchObject({
      cached: true,
      costMicros: 0n,
      usage: { inputTokens: 0n, outputTokens: 0n },
      model: first.response.model,
      provider: first.response.provider,
      finishReason: first.response.finishReason,
    });
    // It is a turn like any other, in a conversation of its own.
    expect(again.response.conversationId).not.toBe(first.response.conversationId);
    const { messages } = await client.conversations.listMessages({
      conversationId: again.response.conversationId,
    });
    expect(messages).toHaveLength(2);
  }
  expect(calls()).toBe(1);
});

it("an answer from the cache streams", async () => {
  provider.script({ text: "to be streamed" });
  await send();
  const headers = { "x-api-key": apps[0].key, "content-type": "application/json" };
  const body = JSON.stringify({ content: [{ text: question }] });
  const url = `${apps[0].baseUrl}/api/v1/chat:stream`;
  const response = await fetch(url, { method: "POST", headers, body });
  expect(response.headers.get("x-tribe-cache")).toBe("hit");
  const events = (await response.text())
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line) as Record<string, { text?: string }>);
  expect(events.map((event) => Object.keys(event).at(-1))).toEqual([
    "runStarted",
    "textDelta",
    "completed",
  ]);
  expect(events[1]?.["textDelta"]?.text).toBe("to be streamed");
  expect(events[2]).toMatchObject({ completed: { response: { cached: true } } });
  expect(calls()).toBe(1);
});

it("who bypasses it asks, and leaves nothing in it", async () => {
  const cache = CacheMode.BYPASS;
  expect(await send({ cache })).toMatchObject({ status: "bypass", response: { cached: false } });
  expect(await send()).toMatchObject({ status: "miss" });
  expect(await send({ cache })).toMatchObject({ status: "bypass", response: { cached: false } });
  expect(calls()).toBe(3);
});

it("anything else that the answer depends on makes it another question", async () => {
  const first = await send();
  const others: Message[] = [
    { content: [{ part: { case: "text", value: `${question}?` } }] },
    { temperature: 0.5 },
    { system: "Be brief." },
    { maxOutputTokens: 100 },
    { stop: ["."] },
    { model: "gpt-4.1-mini" },
    // The same words, said later in a conversation.
    { conversationId: first.response.conversationId },
  ];
  for (const other of others) expect(await send(other)).toMatchObject({ status: "miss" });
  expect(calls()).toBe(1 + others.length);
  for (const other of others.slice(0, -1)) {
    expect(await send(other)).toMatchObject({ status: "hit" });
  }
  expect(calls()).toBe(1 + others.length);
});

it("what is asked by many at once is asked once", async () => {
  provider.script({ text: ["for ", "all"], delayMs: 200 });
  const turns = Array.from({ length: 20 }, (_, index) => send({}, clients[index % 2]));
  const answers = await Promise.all(turns);
  expect(new Set(answers.map(({ text }) => text))).toEqual(new Set(["for all"]));
  expect(answers.filter(({ response }) => !response.cached)).toHaveLength(1);
  expect(calls()).toBe(1);
});

it("who waits asks when whoever asked has no answer", async () => {
  provider.script({ status: 400, headers: { "x-delay": "1" } });
  const outcomes = await Promise.allSettled(
    Array.from({ length: 6 }, (_, index) => send({}, clients[index % 2])),
  );
  const answered = outcomes.filter(({ status }) => status === "fulfilled");
  expect(answered).toHaveLength(5);
  expect(calls()).toBe(2);
});

it("who waits for a process that died asks in its place", async () => {
  provider.script({ hang: 1 });
  const leaving = new AbortController();
  const stuck = clients[0].chat
    .sendMessage(
      { content: [{ part: { case: "text", value: question } }] },
      { signal: leaving.signal },
    )
    .catch(() => "left");
  await vi.waitUntil(() => calls() === 1);
  const waiting = send({}, clients[1]);
  // The lease of the dead runs out.
  const [lease = ""] = await vi.waitUntil(async () => {
    const keys = await redisClient.command<string[]>("", ["KEYS", "tribe:answer:*:lease"]);
    return keys.length > 0 && keys;
  });
  await redisClient.command(lease, ["DEL", lease]);
  expect(await waiting).toMatchObject({ response: { cached: false } });
  expect(calls()).toBe(2);
  leaving.abort();
  await stuck;
});

it.each([{ finishReason: "length" }, { finishReason: "content_filter" }, { status: 400 }])(
  "an answer that is not whole is not given again: %j",
  async (reply) => {
    provider.script(reply, { text: "whole" });
    await send().catch(() => undefined);
    expect(await send()).toMatchObject({ status: "miss", text: "whole" });
  },
);

it("what was deleted is not given again", async () => {
  const first = await send();
  const { conversationId } = first.response;
  await clients[0].conversations.deleteConversation({ conversationId });
  expect(await send()).toMatchObject({ status: "miss" });
  expect(calls()).toBe(2);
});

it("answers are their user's own, unless the settings say otherwise, whose change forgets all", async () => {
  await send();
  const stranger = connectClients({ baseUrl: apps[0].baseUrl, key: await keyOfAnotherUser() });
  expect(await send({}, stranger)).toMatchObject({ status: "miss" });
  await set({ [answerCacheScopeSetting.name]: "everyone" });
  await vi.waitUntil(async () => (await send()).status === "miss", { timeout: 10_000 });
  expect(await send({}, stranger)).toMatchObject({ status: "hit" });
  await set({ [answerCacheSecondsSetting.name]: 0 });
  await vi.waitUntil(async () => (await send()).status === "bypass", { timeout: 10_000 });
  await set({ [answerCacheSecondsSetting.name]: null, [answerCacheScopeSetting.name]: null });
});

it("without Redis everybody asks, at once", async () => {
  await send();
  redis.kill("SIGSTOP");
  expect(await send()).toMatchObject({ response: { cached: false } });
  redis.kill("SIGCONT");
});

async function keyOfAnotherUser(): Promise<string> {
  const made = await rest("POST", "/api/v1/users", { displayName: "Other", role: "ROLE_USER" });
  const { userId } = (made as { user: { userId: string } }).user;
  const key = await rest("POST", "/api/v1/api-keys", { name: "other", userId });
  return (key as { secret: string }).secret;
}
const set = (values: Record<string, unknown>) => rest("PATCH", "/api/v1/settings", { values });
async function rest(method: string, path: string, body: unknown): Promise<unknown> {
  const headers = { "x-api-key": apps[0].key, "content-type": "application/json" };
  const response = await fetch(apps[0].baseUrl + path, {
    method,
    headers,
    body: JSON.stringify(body),
  });
  if (!response.ok) throw new Error(await response.text());
  return response.json();
}
