import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { RunState } from "../../gen/tribe/v1/chat_pb.js";
import { startApp, type TestApp } from "../support/app.ts";
import { connectClients } from "../support/clients.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import { createWay, type Way } from "../support/way.ts";

let provider: ProviderServer;
let database: TestDatabase;
let way: Way;
let app: TestApp;
let clients: ReturnType<typeof connectClients>;

beforeAll(async () => {
  provider = await startProviderServer();
  database = await createDatabase();
  way = await createWay(database.url);
  app = await startApp({
    DATABASE_URL: way.url,
    OPENAI_API_KEY: "sk-test",
    OPENAI_BASE_URL: provider.openaiUrl,
  });
  clients = connectClients(app);
});
afterEach(() => way.open());
afterAll(async () => {
  await app?.close();
  await way?.close();
  await database?.close();
  await provider?.close();
});

const hello = { content: [{ part: { case: "text" as const, value: "Hello" } }] };
const words = Array.from({ length: 12 }, (_, index) => `word${index} `);

const health = async (path: string) => {
  const response = await fetch(`${app.baseUrl}${path}`, { headers: { "x-api-key": app.key } });
  return { status: response.status, body: await response.text() };
};

async function openOnceAnswersWait() {
  await expect
    .poll(() => health("/health/detailed"), { timeout: 15_000 })
    .toMatchObject({ body: expect.stringContaining("answers wait in memory") });
  way.open();
}

it.each(["silence", "cut"] as const)(
  "a running stream reaches its client and is stored when the database is back (%s)",
  async (failure) => {
    provider.script({ text: words, delayMs: 20 });
    let text = "";
    let runId = "";
    let last: string | undefined;
    for await (const { event } of clients.chat.streamMessage(hello)) {
      last = event.case;
      if (event.case === "runStarted") runId = event.value.runId;
      if (event.case !== "textDelta") continue;
      text += event.value.text;
      if (event.value.text === words[2]) way[failure]();
      // The whole answer came while nobody could store it; now somebody can.
      if (event.value.text === words.at(-1)) await openOnceAnswersWait();
    }
    expect(last).toBe("completed");
    expect(text).toBe(words.join(""));
    const { run } = await clients.chat.getRun({ runId });
    expect(run?.state).toBe(RunState.COMPLETED);
    const stored = await database.sql<{ content: { text: string }[]; runs: string }>(
      `select content, (select count(*) from usage where run_id = messages.run_id) as runs
       from messages where run_id = ?`,
      [runId],
    );
    expect(stored).toEqual([{ content: [{ type: "text", text: words.join("") }], runs: "1" }]);
  },
);

it("calls are UNAVAILABLE with RetryInfo while the database is frozen, and nothing hangs", async () => {
  await clients.conversations.listConversations({});
  way.silence();
  await expect
    .poll(() => health("/health/ready"), { timeout: 15_000 })
    .toMatchObject({
      status: 503,
    });
  expect((await health("/health/live")).status).toBe(200);
  const calls = [
    clients.chat.sendMessage(hello),
    clients.conversations.listConversations({}),
    clients.conversations.createConversation({}),
    clients.conversations.searchMessages({ query: "word" }),
  ];
  for (const result of await Promise.allSettled(calls)) {
    const error = ConnectError.from((result as PromiseRejectedResult).reason);
    expect(error.code).toBe(Code.Unavailable);
    expect(error.findDetails(RetryInfoSchema)).toHaveLength(1);
  }
  way.open();
  await expect
    .poll(() => clients.chat.sendMessage(hello).then(() => "answered", String), { timeout: 15_000 })
    .toBe("answered");
});
