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
      requestDigest: requestHash,
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

describe("findAbandoned", () => {
  test("finds old runs, and only those that nobody renews, with all that settles them", async () => {
    const first = await open();
    await turns.settle(settlement(first.asked, first.opened));
    const { conversationId } = first.opened;
    const old = await open({ conversationId });
    const young = await open();
    const renewed = await open();
    for (const { asked } of [first, old, renewed]) await makeOlder(asked.runId, "1 hour");
    await runs.renew([renewed.asked.runId, young.asked.runId]);

    const mine = [first, old, young, renewed].map(({ asked }) => asked.runId);
    const found = (await runs.findAbandoned(60_000)).filter(({ runId }) => mine.includes(runId));
    expect(found).toEqual([
      {
        runId: old.asked.runId,
        userId,
        apiKeyId: old.asked.apiKeyId,
        conversationId,
        userMessageId: old.asked.userMessageId,
        assistantMessageId: old.asked.assistantMessageId,
        sequence: 3,
        model: old.asked.model,
        branchTokens: expect.any(Number),
      },
    ]);
    expect(found[0]!.branchTokens).toBeGreaterThan(old.asked.tokens);
  });
});

describe("an interrupted run", () => {
  test("takes the head only of a conversation that has not gone on", async () => {
    const { asked, opened } = await open();
    const { conversationId } = opened;
    await turns.settle(settlement(asked, opened, { status: "interrupted" }));
    const lost = await open({ conversationId });
    expect(lost.opened.parentMessageId).toBe(asked.assistantMessageId);
    const later = await open({ conversationId });
    await turns.settle(settlement(later.asked, later.opened));
    await turns.settle(settlement(lost.asked, lost.opened, { status: "interrupted" }));
    const next = await open({ conversationId });
    expect(next.opened.parentMessageId).toBe(later.asked.assistantMessageId);
  });
});
