/** Field encryption of content at rest: what the database and Redis hold, and key rotation. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Environment } from "../../src/config.ts";
import { type TestApp, startApp } from "../support/app.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import {
  type ProviderServer,
  startProviderServer,
} from "../support/provider-server/provider-server.ts";
import { type TestRedis, startRedis } from "../support/redis.ts";
import { tribe } from "../support/tribe.ts";

const one = "first-key-first-key-first-key-first-key";
const two = "second-key-second-key-second-key-second";
/** Stands in everything that is said here. */
const word = "zanzibar";

let database: TestDatabase;
let redis: TestRedis;
let provider: ProviderServer;
beforeAll(async () => {
  database = await createDatabase();
  redis = await startRedis();
  provider = await startProviderServer({ reply: { text: `Ships sail to ${word} daily.` } });
});
afterAll(async () => {
  await database.close();
  await redis.stop();
  await provider.close();
});

function start(contentKey: string | undefined): Promise<TestApp> {
  return startApp({
    DATABASE_URL: database.url,
    SECRET_KEY: "0123456789abcdef0123456789abcdef",
    REDIS_URL: redis.url,
    OPENAI_BASE_URL: provider.openaiUrl,
    OPENAI_API_KEY: "sk-test",
    DEFAULT_MODEL: "gpt-4o-mini",
    CONTENT_KEY: contentKey,
  });
}

async function call<Answer>(app: TestApp, method: string, path: string, body?: object) {
  const answer = await fetch(`${app.baseUrl}${path}`, {
    method,
    headers: { authorization: `Bearer ${app.key}`, "content-type": "application/json" },
    ...(body && { body: JSON.stringify(body) }),
  });
  const text = await answer.text();
  return { status: answer.status, text, json: safely(text) as Answer };
}
function safely(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

interface Turn {
  conversationId: string;
  runId: string;
}
interface Page {
  messages: { content: { text: string }[]; metadata?: Record<string, string> }[];
}
const chat = (app: TestApp, body: object) => call<Turn>(app, "POST", "/api/v1/chat", body);

/** Everything that PostgreSQL and Redis hold, as whoever steals them reads it. */
async function everythingAtRest(): Promise<string> {
  const tables = await database.sql<{ name: string }>(
    "select quote_ident(table_name) as name from information_schema.tables where table_schema = 'public'",
  );
  const rows = await Promise.all(
    tables.map(({ name }) =>
      database.sql<{ text: string | null }>(
        `select string_agg(t::text, ' ') as text from ${name} t`,
      ),
    ),
  );
  const inPostgres = rows.flat().map(({ text }) => text ?? "");
  return `${inPostgres.join("\n")}\n${await redisContent()}`;
}

async function redisContent(): Promise<string> {
  const { createClient } = await import("redis");
  const client = await createClient({ url: redis.url }).connect();
  const keys = await client.keys("*");
  const values = await Promise.all(keys.map((key) => client.sendCommand(["DUMP", key])));
  client.destroy();
  return [...keys, ...values.map(String)].join("\n");
}

/** Says the word in every field that takes text. */
async function sayEverywhere(app: TestApp) {
  const made = await call<{ conversation: { conversationId: string } }>(
    app,
    "POST",
    "/api/v1/conversations",
    { title: `Title ${word}`, system: `System ${word}`, metadata: { place: word } },
  );
  const { conversationId } = made.json.conversation;
  const first = await chat(app, {
    conversationId,
    content: [{ text: `Where is ${word}?` }],
    metadata: { port: word },
    idempotencyKey: randomUUID(),
  });
  expect(first.status).toBe(200);
  await chat(app, { content: [{ text: `A conversation named after ${word}` }] });
  provider.script({ status: 400, error: { error: { message: `"${word}" is not allowed` } } });
  const failed = await chat(app, { conversationId, content: [{ text: `Bad ${word}` }] });
  expect(failed.status).toBe(400);
  // Long enough for its pieces to be logged in Redis, and followed.
  provider.script({ text: Array.from({ length: 8 }, () => `${word} `), delayMs: 80 });
  const stream = await call(app, "POST", "/api/v1/chat:stream", {
    conversationId,
    content: [{ text: `Sing of ${word}` }],
  });
  const runId = /"runId":\s*"([^"]+)"/.exec(stream.text)?.[1] ?? "";
  return { conversationId, runId, stream: stream.text };
}

/** Whether all of it comes back as it was said. */
async function expectReadable(app: TestApp, conversationId: string) {
  const { json } = await call<{ conversation: object }>(
    app,
    "GET",
    `/api/v1/conversations/${conversationId}`,
  );
  expect(json.conversation).toMatchObject({
    title: `Title ${word}`,
    system: `System ${word}`,
    metadata: { place: word },
  });
  const page = await call<Page>(app, "GET", `/api/v1/conversations/${conversationId}/messages`);
  const { messages } = page.json;
  expect(messages[0]).toMatchObject({
    content: [{ text: `Where is ${word}?` }],
    metadata: { port: word },
  });
  expect(messages[1]?.content[0]?.text).toBe(`Ships sail to ${word} daily.`);
}

describe("with CONTENT_KEY", () => {
  let app: TestApp;
  let said: Awaited<ReturnType<typeof sayEverywhere>>;
  beforeAll(async () => {
    app = await start(one);
    said = await sayEverywhere(app);
  });
  afterAll(() => app.close());

  test("neither PostgreSQL nor Redis holds a word of what was said", async () => {
    expect(await redisContent()).toContain(`tribe:run:{${said.runId}}`);
    const atRest = await everythingAtRest();
    expect(atRest).toContain(said.conversationId);
    expect(atRest.toLowerCase()).not.toContain(word);
  });

  test("everything is read as it was said", async () => {
    await expectReadable(app, said.conversationId);
    const list = await call<{ conversations: { title: string }[] }>(
      app,
      "GET",
      "/api/v1/conversations",
    );
    expect(list.json.conversations.map(({ title }) => title)).toContain(
      `A conversation named after ${word}`,
    );
    const file = await call(app, "GET", `/api/v1/conversations/${said.conversationId}:export`);
    expect(file.text).toContain(`Where is ${word}?`);
  });

  test("the model is sent the history in the clear", async () => {
    await chat(app, { conversationId: said.conversationId, content: [{ text: "And now?" }] });
    const sent = JSON.stringify(provider.requests.at(-1)?.body);
    expect(sent).toContain(`System ${word}`);
    expect(sent).toContain(`Sing of ${word}`);
  });

  test("another process tells a run from Redis, piece by piece", async () => {
    const other = await start(one);
    const again = await call(other, "GET", `/api/v1/runs/${said.runId}:stream`);
    expect(again.text.match(/textDelta/g)).toHaveLength(8);
    expect(again.text.match(/textDelta/g)).toEqual(said.stream.match(/textDelta/g));
    await other.close();
  });

  test("a fork is sealed for its own rows", async () => {
    const { json } = await call<{ conversation: { conversationId: string } }>(
      app,
      "POST",
      `/api/v1/conversations/${said.conversationId}:fork`,
      {},
    );
    await expectReadable(app, json.conversation.conversationId);
    expect((await everythingAtRest()).toLowerCase()).not.toContain(word);
  });

  test("a retry with the same idempotency key gets the first answer, another request is refused", async () => {
    const idempotencyKey = randomUUID();
    const first = await chat(app, { content: [{ text: "Once" }], idempotencyKey });
    const second = await chat(app, { content: [{ text: "Once" }], idempotencyKey });
    expect(second.json.runId).toBe(first.json.runId);
    const other = await chat(app, { content: [{ text: "Twice" }], idempotencyKey });
    expect(other.status).toBe(409);
  });

  test("a change of the title is sealed too", async () => {
    const path = `/api/v1/conversations/${said.conversationId}`;
    await call(app, "PATCH", path, { title: `New ${word}`, metadata: { more: word } });
    const { json } = await call<{ conversation: object }>(app, "GET", path);
    expect(json.conversation).toMatchObject({ title: `New ${word}`, metadata: { more: word } });
    expect((await everythingAtRest()).toLowerCase()).not.toContain(word);
    await call(app, "PATCH", path, { title: `Title ${word}`, metadata: { place: word } });
  });

  test("search is refused, and says why", async () => {
    const { status, json } = await call(app, "GET", `/api/v1/messages:search?query=${word}`);
    expect(status).toBe(400);
    expect(json).toMatchObject({
      code: 9,
      message: expect.stringContaining("search is off"),
      details: expect.arrayContaining([expect.objectContaining({ reason: "SEARCH_IS_OFF" })]),
    });
  });

  test("a row that somebody put in another's place is not read", async () => {
    await database.sql(
      `update messages set content = (select content from messages other
         where other.conversation_id = messages.conversation_id and sequence = 1)
       where conversation_id = ? and sequence = 2`,
      [said.conversationId],
    );
    const path = `/api/v1/conversations/${said.conversationId}/messages`;
    const { status, text } = await call(app, "GET", path);
    expect(status).toBe(500);
    expect(text).not.toContain(word);
    // The caller can do nothing about it; the operator is told which row it is.
    expect(app.log.at(-1)).toMatchObject({
      err: { reason: "CONTENT_NOT_READABLE", metadata: { resource: "message/content" } },
    });
    await database.sql("delete from messages where conversation_id = ? and sequence = 2", [
      said.conversationId,
    ]);
  });
});

describe("rotation", () => {
  const cli = (environment: Environment) =>
    tribe(["messages", "reseal", "--json"], { DATABASE_URL: database.url, ...environment });
  let conversationId: string;
  beforeAll(async () => {
    const app = await start(one);
    ({ conversationId } = await sayEverywhere(app));
    await app.close();
  });

  test("a service without the key, or with a wrong one, does not start and says which it lacks", async () => {
    for (const key of [undefined, two]) {
      await expect(start(key)).rejects.toThrow(
        /CONTENT_KEY: the database has content that is sealed with key [0-9a-f]{12}/,
      );
    }
    const refused = await cli({ CONTENT_KEY: two });
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringMatching(/^CONTENT_KEY: /) });
    expect(await cli({})).toMatchObject({
      code: 1,
      stderr: expect.stringContaining("CONTENT_KEY is not set"),
    });
  });

  test("the new key in front seals, the old one behind it still opens", async () => {
    const app = await start(`${two},${one}`);
    await expectReadable(app, conversationId);
    const { status } = await chat(app, { conversationId, content: [{ text: `Still ${word}?` }] });
    expect(status).toBe(200);
    await app.close();
    expect((await everythingAtRest()).toLowerCase()).not.toContain(word);
  });

  test("resealing makes the old key unneeded", async () => {
    const { code, stdout, stderr } = await cli({ CONTENT_KEY: `${two},${one}` });
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
    const first = JSON.parse(stdout) as { resealed: Record<string, number> };
    expect(first.resealed["messages"]).toBeGreaterThan(5);
    expect(first.resealed["conversations"]).toBeGreaterThan(1);
    expect(first.resealed["runs"]).toBeGreaterThan(0);
    const second = await cli({ CONTENT_KEY: two });
    expect(JSON.parse(second.stdout)).toMatchObject({
      resealed: { messages: 0, conversations: 0, runs: 0 },
    });
    const app = await start(two);
    await expectReadable(app, conversationId);
    await app.close();
    await expect(start(one)).rejects.toThrow("CONTENT_KEY");
    expect((await everythingAtRest()).toLowerCase()).not.toContain(word);
  });

  test("`none` in front opens everything again, with its search", async () => {
    expect((await cli({ CONTENT_KEY: `none,${two}` })).code).toBe(0);
    const app = await start(undefined);
    await expectReadable(app, conversationId);
    const found = await call<{ results: object[] }>(
      app,
      "GET",
      `/api/v1/messages:search?query=${word}`,
    );
    expect(found.json.results.length).toBeGreaterThan(3);
    await app.close();
    expect(await everythingAtRest()).toContain(word);
  });

  test("what was stored in the clear is sealed, and leaves the search index", async () => {
    expect((await cli({ CONTENT_KEY: one })).code).toBe(0);
    expect(await everythingAtRest()).not.toMatch(new RegExp(word, "i"));
    const app = await start(one);
    await expectReadable(app, conversationId);
    await app.close();
  });
});

test("a mistake in CONTENT_KEY stops the start", async () => {
  await expect(start("short")).rejects.toThrow(/CONTENT_KEY must be secrets of at least 32 bytes/);
});
