import { randomUUIDv7 } from "node:crypto";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import {
  RunState,
  type ResumeRunResponse,
  type StreamMessageResponse,
} from "../../gen/tribe/v1/chat_pb.js";
import { createReplays } from "../../src/chat/replay.ts";
import { createRunLog, type RunLog } from "../../src/chat/run-log.store.ts";
import { createRunRepository } from "../../src/chat/run.repository.ts";
import { createRuns } from "../../src/chat/runs.ts";
import { createSweeper } from "../../src/chat/sweeper.ts";
import { createTurnRepository } from "../../src/chat/turn.repository.ts";
import { BUILT_IN_CATALOG } from "../../src/providers/built-in-catalog.ts";
import { createDemoProvider } from "../../src/providers/demo/demo-provider.ts";
import { createModels } from "../../src/providers/models.ts";
import { createRedis, type Redis } from "../../src/redis/redis.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import { clientsOf, createUserWithKey } from "../identity/clients.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { connectClients } from "../support/clients.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { opening } from "./turns.ts";

/** For polls: other tests keep the machine busy. */
const PATIENT = { timeout: 10_000 };

type Event = StreamMessageResponse | ResumeRunResponse;

let provider: ProviderServer;
let redisServer: TestRedis;
let redis: Redis;
let log: RunLog;
let one: TestApp;
let two: TestApp;
let clients: Record<"one" | "two", ReturnType<typeof connectClients>>;

/** Two services on one database and one Redis. */
beforeAll(async () => {
  provider = await startProviderServer();
  redisServer = await startRedis();
  const environment = {
    OPENAI_API_KEY: "sk-test",
    OPENAI_BASE_URL: provider.openaiUrl,
    REDIS_URL: redisServer.url,
  };
  one = await startApp(environment);
  two = await startApp({ ...environment, DATABASE_URL: one.database.url });
  clients = { one: connectClients(one), two: connectClients(two) };
  redis = createRedis({ address: { kind: "standalone", url: redisServer.url } });
  log = createRunLog(redis);
  await vi.waitUntil(() => redis.isReady(), PATIENT);
});
afterAll(async () => {
  await two?.close();
  await one?.close();
  await redis?.close();
  await redisServer?.stop();
  await provider?.close();
});

const hello = { content: [{ part: { case: "text" as const, value: "Hello" } }] };
const words = Array.from({ length: 12 }, (_, index) => `word${index} `);

async function collect(events: AsyncIterable<Event>): Promise<Event[]> {
  const collected: Event[] = [];
  for await (const event of events) collected.push(event);
  return collected;
}
function textOf(events: readonly Event[]): string {
  return events.map(({ event }) => (event.case === "textDelta" ? event.value.text : "")).join("");
}
/** Reads a stream of the first service up to so many events, and leaves. */
async function leaveAfter(count: number): Promise<{ runId: string; seen: Event[] }> {
  const seen: Event[] = [];
  for await (const event of clients.one.chat.streamMessage(hello)) {
    seen.push(event);
    if (seen.length === count) break;
  }
  const first = seen[0]?.event;
  return { runId: first?.case === "runStarted" ? first.value.runId : "", seen };
}

it("resumes at another process exactly where it was left, live", async () => {
  provider.script({ text: words, delayMs: 60 });
  const { runId, seen } = await leaveAfter(4);
  const afterSequence = seen.at(-1)!.sequence;
  const rest = await collect(clients.two.chat.resumeRun({ runId, afterSequence }));
  expect(rest.map(({ sequence }) => sequence)).toEqual(
    rest.map((_, index) => afterSequence + BigInt(index) + 1n),
  );
  expect(textOf(seen) + textOf(rest)).toBe(words.join(""));
  expect(rest.at(-1)?.event.case).toBe("completed");
});

it("tells an ended run again at another process, event by event", async () => {
  provider.script({ text: words });
  const events = await collect(clients.one.chat.streamMessage(hello));
  const first = events[0]!.event;
  const runId = first.case === "runStarted" ? first.value.runId : "";
  await vi.waitFor(
    async () => expect(await log.read(runId, 0)).toHaveLength(words.length),
    PATIENT,
  );
  const again = await collect(clients.two.chat.resumeRun({ runId }));
  expect(again.map(({ sequence, event }) => [sequence, event])).toEqual(
    events.map(({ sequence, event }) => [sequence, event]),
  );
});

it("cancels a run of another process, and its provider call", async () => {
  provider.script({ text: words, hang: 5 });
  const { runId } = await leaveAfter(3);
  const { run } = await clients.two.chat.cancelRun({ runId });
  expect(run?.state).toBe(RunState.CANCELLED);
  await vi.waitFor(() => expect(provider.requests.at(-1)?.aborted).toBe(true), PATIENT);
});

it("ends the runs of a user who is erased at another process, and leaves no piece of them", async () => {
  const administrator = clientsOf(two.baseUrl, two.key);
  const owner = await createUserWithKey(administrator, one.baseUrl);
  provider.script({ text: words, hang: 5 });
  const stream = owner.chat.streamMessage(hello);
  const events: Event[] = [];
  const followed = (async () => {
    for await (const event of stream) events.push(event);
  })();
  await vi.waitFor(() => expect(events.length).toBeGreaterThan(2), PATIENT);
  const first = events[0]!.event;
  const runId = first.case === "runStarted" ? first.value.runId : "";
  await vi.waitFor(async () => expect(await log.read(runId, 0)).not.toEqual([]), PATIENT);
  await administrator.identity.deleteUser({ userId: owner.userId });
  await vi.waitFor(() => expect(provider.requests.at(-1)?.aborted).toBe(true), PATIENT);
  await followed;
  expect(events.at(-1)?.event.case).toBe("failed");
  expect(await redis.command(runId, ["GET", `tribe:run:{${runId}}`])).toBe("");
  for (const table of ["runs", "conversations", "message_search", "search_queue"]) {
    const rows = await one.database.sql(`select * from ${table} where user_id = ?`, [owner.userId]);
    expect([table, rows]).toEqual([table, []]);
  }
});

it("gives a retry at another process the run that is under way", async () => {
  const request = { ...hello, idempotencyKey: randomUUIDv7() };
  provider.script({ text: words, delayMs: 30 });
  const calls = provider.calls;
  const first = clients.one.chat.sendMessage(request);
  await vi.waitFor(() => expect(provider.calls).toBe(calls + 1), PATIENT);
  const second = await clients.two.chat.sendMessage(request);
  expect(second).toEqual(await first);
  expect(provider.calls).toBe(calls + 1);
});

it("tells a retry that its run was withdrawn when it is taken back", async () => {
  const repository = createRunRepository(one.database.postgres);
  const turnRepository = createTurnRepository(one.database.postgres);
  const userId = await one.database.createUser();
  const asked = opening(userId, { model: "demo" });
  await turnRepository.open(asked);
  const stored = await repository.find(asked.runId, userId);
  const run = createReplays(repository, log).watch(
    stored!,
    userId,
    0,
    new AbortController().signal,
  );
  await turnRepository.discard(asked.runId);
  const last = await run.ended;
  expect(last).toMatchObject({
    type: "failed",
    error: { code: "ABORTED", reason: "RUN_WITHDRAWN" },
  });
});

it("settles a dead process's run with what had arrived, and bills it", async () => {
  const { postgres } = one.database;
  const turnRepository = createTurnRepository(postgres);
  const runRepository = createRunRepository(postgres);
  const userId = await one.database.createUser();
  const asked = opening(userId, { model: "demo" });
  const opened = await turnRepository.open(asked);
  expect(opened).not.toHaveProperty("refused");
  const writer = log.writer(asked.runId);
  for (const [index, text] of words.entries()) writer.append(index + 2, { type: "text", text });
  writer.end(true);
  await one.database.sql("update runs set start_time = now() - interval '1 hour' where id = ?", [
    asked.runId,
  ]);
  const sweeper = createSweeper({
    runs: createRuns(),
    runRepository,
    turnRepository,
    models: createModels({ providers: [createDemoProvider()], catalog: BUILT_IN_CATALOG }),
    log,
    logger: createLogger({ level: "silent" }),
    leaseMs: 120,
  });
  try {
    await vi.waitFor(
      async () =>
        expect(await runRepository.find(asked.runId, userId)).toMatchObject({
          state: "interrupted",
          errorReason: "RUN_INTERRUPTED",
          answer: {
            status: "interrupted",
            content: [{ type: "text", text: words.join("") }],
            answer: { model: "demo", provider: "demo", costMicros: 0n },
          },
        }),
      { timeout: 20_000 },
    );
  } finally {
    sweeper.stop();
  }
  const billed = await one.database.sql<{ output: number }>(
    "select output_tokens::int as output from usage where run_id = ?",
    [asked.runId],
  );
  expect(billed[0]?.output).toBeGreaterThan(10);
});
