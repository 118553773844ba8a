import { createHash, randomUUIDv7 } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { createRunRepository, type RunRepository } from "../../src/chat/run.repository.ts";
import {
  createTurnRepository,
  type TurnOpening,
  type TurnRepository,
} from "../../src/chat/turn.repository.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { opening, settlement } from "./turns.ts";

let database: TestDatabase;
let turns: TurnRepository;
let runs: RunRepository;
let userId: string;

beforeAll(async () => {
  database = await createDatabase();
  turns = createTurnRepository(database.postgres);
  runs = createRunRepository(database.postgres);
  userId = await database.createUser();
});
afterAll(() => database.close());

async function open(changes: Partial<TurnOpening> = {}) {
  const asked = opening(userId, changes);
  const opened = await turns.open(asked);
  if ("refused" in opened) throw new Error(opened.refused);
  return { asked, opened };
}

const makeOlder = (runId: string, interval: string) =>
  database.sql(`update runs set start_time = start_time - interval '${interval}' where id = ?`, [
    runId,
  ]);

describe("find", () => {
  test("gives a run while it runs and after it has ended", async () => {
    const { asked, opened } = await open({ metadata: { a: "b" } });
    const running = await runs.find(asked.runId, userId);
    const question = {
      messageId: asked.userMessageId,
      conversationId: opened.conversationId,
      parentMessageId: undefined,
      role: "user",
      status: "completed",
      content: asked.content,
      sequence: 1,
      createTime: opened.createTime,
      metadata: { a: "b" },
      answer: undefined,
    };
    expect(running).toEqual({
      runId: asked.runId,
      state: "running",
      model: "demo",
      startTime: opened.createTime,
      endTime: undefined,
      errorReason: undefined,
      errorMessage: undefined,
      requestHash: undefined,
      question,
      assistantMessageId: asked.assistantMessageId,
      answer: undefined,
    });

    const settled = settlement(asked, opened, {
      status: "cancelled",
      finishReason: "cancelled",
      errorReason: "RUN_CANCELLED",
      errorMessage: "cancelled by its caller",
    });
    const endTime = await turns.settle(settled);
    expect(await runs.find(asked.runId, userId)).toEqual({
      ...running,
      state: "cancelled",
      model: "demo-1",
      endTime,
      errorReason: "RUN_CANCELLED",
      errorMessage: "cancelled by its caller",
      answer: {
        messageId: asked.assistantMessageId,
        conversationId: opened.conversationId,
        parentMessageId: asked.userMessageId,
        role: "assistant",
        status: "cancelled",
        content: settled.content,
        sequence: 2,
        createTime: endTime,
        metadata: {},
        answer: {
          runId: asked.runId,
          model: "demo-1",
          provider: "demo",
          finishReason: "cancelled",
          usage: settled.usage,
          costMicros: 1234n,
        },
      },
    });
  });

  test("gives nobody else's and none that is not there", async () => {
    const { asked } = await open();
    expect(await runs.find(asked.runId, await database.createUser())).toBeUndefined();
    expect(await runs.find(randomUUIDv7(), userId)).toBeUndefined();
  });
});

describe("findByIdempotencyKey", () => {
  const requestHash = createHash("sha256").update("request").digest();

  test("gives the user's run with the hash of its request", async () => {
    const idempotencyKey = randomUUIDv7();
    const { asked } = await open({ idempotencyKey, requestHash });
    expect(await runs.findByIdempotencyKey(userId, idempotencyKey)).toMatchObject({
      runId: asked.runId,
      requestHash,
    });
    expect(await runs.findByIdempotencyKey(userId, "another")).toBeUndefined();
    const stranger = await database.createUser();
    expect(await runs.findByIdempotencyKey(stranger, idempotencyKey)).toBeUndefined();
  });

  test("frees a key after 24 hours", async () => {
    const idempotencyKey = randomUUIDv7();
    const first = await open({ idempotencyKey, requestHash });
    await makeOlder(first.asked.runId, "23 hours 59 minutes");
    expect(await runs.findByIdempotencyKey(userId, idempotencyKey)).toBeDefined();
    await makeOlder(first.asked.runId, "2 minutes");
    expect(await runs.findByIdempotencyKey(userId, idempotencyKey)).toBeUndefined();
    const second = await open({ idempotencyKey, requestHash });
    expect(await runs.findByIdempotencyKey(userId, idempotencyKey)).toMatchObject({
      runId: second.asked.runId,
    });
  });
});

describe("settleAbandoned", () => {
  test("interrupts old runs, and only those, with an empty answer", async () => {
    const old = await open();
    const young = await open();
    const alive = await open();
    const ended = await open();
    await turns.settle(settlement(ended.asked, ended.opened));
    for (const { asked } of [old, alive, ended]) await makeOlder(asked.runId, "1 hour");
    await database.sql("update runs set lease_time = now() where id = ?", [alive.asked.runId]);

    const mine = [old, young, alive, ended].map(({ asked }) => asked.runId);
    const settled = await runs.settleAbandoned(60_000);
    expect(settled.filter((runId) => mine.includes(runId))).toEqual([old.asked.runId]);
    expect(await runs.settleAbandoned(60_000)).toEqual([]);

    expect(await runs.find(old.asked.runId, userId)).toMatchObject({
      state: "interrupted",
      errorReason: "RUN_INTERRUPTED",
      answer: {
        status: "interrupted",
        content: [],
        sequence: 2,
        parentMessageId: old.asked.userMessageId,
        answer: { model: "demo", provider: "", usage: undefined, costMicros: undefined },
      },
    });
    for (const { asked } of [young, alive]) {
      expect(await runs.find(asked.runId, userId)).toMatchObject({ state: "running" });
    }
    const next = await open({ conversationId: old.opened.conversationId });
    expect(next.opened.parentMessageId).toBe(old.asked.assistantMessageId);
    expect(next.opened.history.map(({ content }) => content.length)).toEqual([1, 0]);
  });

  test("leaves the head of a conversation that has gone on", async () => {
    const first = await open();
    const { conversationId } = first.opened;
    await turns.settle(settlement(first.asked, first.opened));
    const lost = await open({ conversationId });
    const alsoLost = await open({ conversationId });
    const later = await open({ conversationId });
    await turns.settle(settlement(later.asked, later.opened));
    await makeOlder(lost.asked.runId, "1 hour");
    await makeOlder(alsoLost.asked.runId, "1 hour");
    expect(await runs.settleAbandoned(60_000)).toHaveLength(2);
    const next = await open({ conversationId });
    expect(next.opened.parentMessageId).toBe(later.asked.assistantMessageId);
  });

  test("a turn that settles after all changes and bills nothing", async () => {
    const { asked, opened } = await open();
    await makeOlder(asked.runId, "1 hour");
    await runs.settleAbandoned(60_000);
    const before = await runs.find(asked.runId, userId);
    await turns.settle(settlement(asked, opened));
    expect(await runs.find(asked.runId, userId)).toEqual(before);
    const billed = await database.sql("select 1 from usage where run_id = ?", [asked.runId]);
    expect(billed).toEqual([]);
  });

  test("ends a thousand, each once, also when two processes look at a time", async () => {
    const { asked } = await open();
    await database.sql(
      `with conversation as (
         insert into conversations (id, user_id, last_sequence)
         select gen_random_uuid(), '${userId}', 2 from generate_series(1, 1100) returning id
       ), question as (
         insert into messages
           (id, conversation_id, role, status, content, tokens, sequence, depth, jump_depth)
         select gen_random_uuid(), id, 'user', 'completed', '[]', 0, 1, 1, 0 from conversation
         returning id, conversation_id
       )
       insert into runs
         (id, conversation_id, user_id, user_message_id, assistant_message_id, state, sequence,
          model, start_time)
       select gen_random_uuid(), conversation_id, '${userId}', id, gen_random_uuid(), 'running',
         1, 'demo', now() - interval '1 hour' from question`,
    );
    const both = await Promise.all([runs.settleAbandoned(60_000), runs.settleAbandoned(60_000)]);
    const rest = await runs.settleAbandoned(60_000);
    const ids = [...both.flat(), ...rest];
    expect(ids).toHaveLength(1100);
    expect(new Set(ids).size).toBe(1100);
    expect(ids).not.toContain(asked.runId);
  });
});
