import { randomBytes, randomUUIDv7 } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import {
  createTurnRepository,
  type OpenedTurn,
  type TurnOpening,
  type TurnRepository,
} from "../../src/chat/turn.repository.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { opening, settlement } from "./turns.ts";

let database: TestDatabase;
let turns: TurnRepository;
let userId: string;

beforeAll(async () => {
  database = await createDatabase();
  turns = createTurnRepository(database.postgres);
  userId = await database.createUser();
});
afterAll(() => database.close());

async function open(changes: Partial<TurnOpening> = {}) {
  const asked = opening(userId, changes);
  const opened = await turns.open(asked);
  if ("refused" in opened) throw new Error(opened.refused);
  return { asked, opened };
}

async function turn(changes: Partial<TurnOpening> = {}) {
  const { asked, opened } = await open(changes);
  const settled = settlement(asked, opened);
  const createTime = await turns.settle(settled);
  return { asked, opened, settled, createTime };
}

const texts = (opened: OpenedTurn) =>
  opened.history.flatMap(({ content }) =>
    content.map((part) => (part.type === "text" ? part.text : part.type)),
  );

async function counts() {
  const [row] = await database.sql<Record<string, number>>(
    `select (select count(*)::int from conversations) as conversations,
            (select count(*)::int from messages) as messages,
            (select count(*)::int from runs) as runs,
            (select count(*)::int from usage) as usage`,
  );
  return row;
}

describe("open", () => {
  test("makes a conversation with its question and run", async () => {
    const { asked, opened } = await open({
      system: "Be brief.",
      title: "A title",
      metadata: { tag: "x" },
      apiKeyId: randomUUIDv7(),
    });
    expect(opened).toEqual({
      conversationId: asked.newConversationId,
      parentMessageId: undefined,
      system: "Be brief.",
      sequence: 1,
      createTime: expect.any(Date),
      depth: 1,
      history: [],
    });
    expect(Math.abs(opened.createTime.getTime() - Date.now())).toBeLessThan(60_000);
    const [stored] = await database.sql(
      `select c.title, c.system, c.last_sequence, m.role, m.status, m.content, m.tokens,
         m.metadata, m.parent_id, r.state, r.api_key_id, r.assistant_message_id, r.model
       from conversations c join messages m on m.conversation_id = c.id
         join runs r on r.user_message_id = m.id where r.id = ?`,
      [asked.runId],
    );
    expect(stored).toEqual({
      title: "A title",
      system: "Be brief.",
      last_sequence: "2",
      role: "user",
      status: "completed",
      content: asked.content,
      tokens: 10,
      metadata: { tag: "x" },
      parent_id: null,
      state: "running",
      api_key_id: asked.apiKeyId,
      assistant_message_id: asked.assistantMessageId,
      model: "demo",
    });
  });

  test("continues from the head with the whole branch, the oldest first", async () => {
    const first = await turn({ content: [{ type: "text", text: "one" }], system: "S" });
    const { conversationId } = first.opened;
    const second = await turn({ conversationId, content: [{ type: "text", text: "two" }] });
    expect(second.opened).toEqual({
      conversationId,
      parentMessageId: first.asked.assistantMessageId,
      system: "S",
      sequence: 3,
      createTime: expect.any(Date),
      depth: 3,
      history: [
        {
          messageId: first.asked.userMessageId,
          role: "user",
          content: [{ type: "text", text: "one" }],
          tokens: 10,
        },
        {
          messageId: first.asked.assistantMessageId,
          role: "assistant",
          content: [{ type: "text", text: "Good day" }],
          tokens: 5,
        },
      ],
    });
    const third = await turn({ conversationId });
    expect(texts(third.opened)).toEqual(["one", "Good day", "two", "Good day"]);
  });

  test("continues from an earlier message as a branch of its own", async () => {
    const first = await turn({ content: [{ type: "text", text: "one" }] });
    const { conversationId } = first.opened;
    await turn({ conversationId, content: [{ type: "text", text: "two" }] });
    const branch = await turn({
      conversationId,
      parentMessageId: first.asked.assistantMessageId,
    });
    expect(texts(branch.opened)).toEqual(["one", "Good day"]);
    const after = await open({ conversationId });
    expect(after.opened.parentMessageId).toBe(branch.asked.assistantMessageId);
  });

  test("reads history only until it has the tokens asked for", async () => {
    const first = await turn();
    const { conversationId } = first.opened;
    await turn({ conversationId });
    const lengths: number[] = [];
    for (const historyTokens of [0, 1, 5, 6, 15, 16, 30, 1000]) {
      const { opened, asked } = await open({ conversationId, historyTokens });
      lengths.push(opened.history.length);
      await turns.discard(asked.runId);
    }
    expect(lengths).toEqual([0, 1, 1, 2, 2, 3, 4, 4]);
  });

  test("gives an empty conversation its first title and system prompt", async () => {
    const conversationId = randomUUIDv7();
    await database.sql("insert into conversations (id, user_id) values (?, ?)", [
      conversationId,
      userId,
    ]);
    const first = await turn({ conversationId, title: "Taken", system: "Be kind." });
    expect(first.opened).toMatchObject({ sequence: 1, system: "Be kind.", history: [] });
    const second = await turn({ conversationId, title: "Not taken", system: "Be rude." });
    expect(second.opened.system).toBe("Be kind.");
    const [row] = await database.sql("select title, system from conversations where id = ?", [
      conversationId,
    ]);
    expect(row).toEqual({ title: "Taken", system: "Be kind." });
  });

  test("refuses what is not there or not the caller's, and stores nothing", async () => {
    const { opened, asked } = await turn();
    const other = await turn();
    const stranger = await database.createUser();
    const before = await counts();
    const { conversationId } = opened;
    const attempts: [Partial<TurnOpening>, string][] = [
      [{ conversationId: randomUUIDv7() }, "conversation_not_found"],
      [{ conversationId, userId: stranger }, "conversation_not_found"],
      [
        { conversationId, userId: stranger, parentMessageId: asked.userMessageId },
        "conversation_not_found",
      ],
      [{ conversationId, parentMessageId: randomUUIDv7() }, "parent_not_found"],
      [{ conversationId, parentMessageId: other.asked.userMessageId }, "parent_not_found"],
      [{ parentMessageId: asked.userMessageId }, "parent_not_found"],
    ];
    for (const [changes, refused] of attempts) {
      expect(await turns.open(opening(userId, changes))).toEqual({ refused });
    }
    expect(await counts()).toEqual(before);
    expect((await open({ conversationId })).opened.sequence).toBe(3);
  });

  test("refuses an idempotency key that another run has, and stores nothing", async () => {
    const key = { idempotencyKey: randomUUIDv7(), requestHash: randomBytes(32) };
    const first = await turn(key);
    const before = await counts();
    const { conversationId } = first.opened;
    for (const changes of [key, { ...key, conversationId }]) {
      expect(await turns.open(opening(userId, changes))).toEqual({
        refused: "idempotency_key_taken",
      });
    }
    expect(await counts()).toEqual(before);
    const stranger = await database.createUser();
    expect(await turns.open(opening(stranger, key))).toHaveProperty("sequence", 1);
  });

  test("takes the same idempotency key only once from many at a time", async () => {
    const key = { idempotencyKey: randomUUIDv7(), requestHash: randomBytes(32) };
    const results = await Promise.all(
      Array.from({ length: 20 }, () => turns.open(opening(userId, key))),
    );
    expect(results.filter((result) => "refused" in result)).toHaveLength(19);
  });
});

describe("settle", () => {
  test("stores the answer, the usage and the run's end, and moves the head", async () => {
    const { asked, opened, settled, createTime } = await turn({ apiKeyId: randomUUIDv7() });
    const [stored] = await database.sql(
      `select m.role, m.status, m.content, m.tokens, m.sequence, m.parent_id, m.run_id, m.model,
         m.provider, m.finish_reason, m.input_tokens, m.cached_input_tokens,
         m.cache_write_tokens, m.output_tokens, m.reasoning_tokens, m.cost_micros,
         m.create_time, r.state, r.end_time, c.head_message_id, c.update_time
       from messages m join runs r on r.id = m.run_id
         join conversations c on c.id = m.conversation_id where m.id = ?`,
      [asked.assistantMessageId],
    );
    expect(stored).toEqual({
      role: "assistant",
      status: "completed",
      content: settled.content,
      tokens: 5,
      sequence: "2",
      parent_id: asked.userMessageId,
      run_id: asked.runId,
      model: "demo-1",
      provider: "demo",
      finish_reason: "stop",
      input_tokens: "12",
      cached_input_tokens: "4",
      cache_write_tokens: "2",
      output_tokens: "7",
      reasoning_tokens: "3",
      cost_micros: "1234",
      create_time: expect.anything(),
      state: "completed",
      end_time: expect.anything(),
      head_message_id: asked.assistantMessageId,
      update_time: expect.anything(),
    });
    expect(new Date(String(stored?.["create_time"]))).toEqual(createTime);
    const ledger = await database.sql("select * from usage where run_id = ?", [asked.runId]);
    expect(ledger).toEqual([
      {
        run_id: asked.runId,
        user_id: userId,
        api_key_id: asked.apiKeyId,
        conversation_id: opened.conversationId,
        model: "demo-1",
        provider: "demo",
        input_tokens: "12",
        cached_input_tokens: "4",
        cache_write_tokens: "2",
        output_tokens: "7",
        reasoning_tokens: "3",
        cost_micros: "1234",
        price_version: "2026-01",
        estimated: false,
        create_time: expect.anything(),
      },
    ]);
  });

  test("keeps an unknown price unknown, and a failure's reason", async () => {
    const { asked, opened } = await open();
    await turns.settle(
      settlement(asked, opened, {
        status: "failed",
        finishReason: "error",
        content: [],
        costMicros: undefined,
        errorReason: "PROVIDER_UNAVAILABLE",
        errorMessage: "overloaded",
      }),
    );
    const [row] = await database.sql(
      `select r.state, r.error_reason, r.error_message, m.status, m.cost_micros,
         u.cost_micros as billed
       from runs r join messages m on m.run_id = r.id join usage u on u.run_id = r.id
       where r.id = ?`,
      [asked.runId],
    );
    expect(row).toEqual({
      state: "failed",
      error_reason: "PROVIDER_UNAVAILABLE",
      error_message: "overloaded",
      status: "failed",
      cost_micros: null,
      billed: null,
    });
  });

  test("changes and bills nothing the second time", async () => {
    const { asked, opened, settled, createTime } = await turn();
    const before = await snapshot(opened.conversationId);
    expect(await turns.settle({ ...settled, content: [], costMicros: 9n })).toEqual(createTime);
    await expect(turns.settle({ ...settled, status: "failed" })).rejects.toMatchObject({
      reason: "RUN_SETTLED",
    });
    expect(await snapshot(opened.conversationId)).toEqual(before);
    const next = await open({ conversationId: opened.conversationId });
    await Promise.all(
      Array.from({ length: 8 }, () => turns.settle(settlement(next.asked, next.opened))),
    );
    const billed = await database.sql("select run_id from usage where run_id in (?, ?)", [
      asked.runId,
      next.asked.runId,
    ]);
    expect(billed).toHaveLength(2);
  });

  async function snapshot(conversationId: string) {
    return {
      conversation: await database.sql("select * from conversations where id = ?", [
        conversationId,
      ]),
      messages: await database.sql("select * from messages where conversation_id = ?", [
        conversationId,
      ]),
      runs: await database.sql("select * from runs where conversation_id = ?", [conversationId]),
      usage: await database.sql("select * from usage where conversation_id = ?", [conversationId]),
    };
  }

  test("keeps only the usage, once, when the conversation was deleted meanwhile", async () => {
    const { asked, opened } = await open();
    await database.sql("delete from conversations where id = ?", [opened.conversationId]);
    await turns.settle(settlement(asked, opened));
    await turns.settle(settlement(asked, opened, { costMicros: 1n }));
    const { conversation, messages, runs, usage } = await snapshot(opened.conversationId);
    expect({ conversation, messages, runs }).toEqual({
      conversation: [],
      messages: [],
      runs: [],
    });
    expect(usage).toMatchObject([{ run_id: asked.runId, cost_micros: "1234" }]);
  });

  test("bills exactly once when it races with the deletion of the conversation", async () => {
    const runIds: string[] = [];
    await Promise.all(
      Array.from({ length: 40 }, async () => {
        const { asked, opened } = await open();
        runIds.push(asked.runId);
        await Promise.all([
          turns.settle(settlement(asked, opened)),
          database.sql("delete from conversations where id = ?", [opened.conversationId]),
        ]);
      }),
    );
    const [row] = await database.sql(
      "select count(*)::int as billed from usage where run_id = any(?::uuid[])",
      [`{${runIds.join(",")}}`],
    );
    expect(row).toEqual({ billed: 40 });
  });

  test("mends what jsonb cannot hold", async () => {
    const { asked, opened } = await open({
      content: [{ type: "text", text: "a\0b \ud800 c \\u0000 \u{1f600}" }],
    });
    await turns.settle(
      settlement(asked, opened, {
        content: [
          { type: "text", text: "nul \0, half \udc00, whole \u{1f600}" },
          { type: "tool_call", toolCallId: "c\0", name: "f", arguments: '{"x":"\\u0000"}' },
        ],
        errorMessage: "a\0b",
      }),
    );
    const next = await open({ conversationId: opened.conversationId });
    expect(next.opened.history.map(({ content }) => content)).toEqual([
      [{ type: "text", text: "a\uFFFDb \uFFFD c \\u0000 \u{1f600}" }],
      [
        { type: "text", text: "nul \uFFFD, half \uFFFD, whole \u{1f600}" },
        {
          type: "tool_call",
          toolCallId: "c\uFFFD",
          name: "f",
          arguments: '{"x":"\\u0000"}',
        },
      ],
    ]);
  });
});

describe("discard", () => {
  test("takes back a new conversation altogether", async () => {
    const before = await counts();
    const { asked } = await open();
    await turns.discard(asked.runId);
    expect(await counts()).toEqual(before);
  });

  test("takes back only the question from an old conversation, even an empty one", async () => {
    const conversationId = randomUUIDv7();
    await database.sql("insert into conversations (id, user_id) values (?, ?)", [
      conversationId,
      userId,
    ]);
    const before = await counts();
    const { asked } = await open({ conversationId });
    await turns.discard(asked.runId);
    expect(await counts()).toEqual(before);
    expect((await open({ conversationId })).opened).toMatchObject({
      sequence: 3,
      parentMessageId: undefined,
    });
  });

  test("does nothing to a settled run", async () => {
    const { asked } = await turn();
    const before = await counts();
    await turns.discard(asked.runId);
    expect(await counts()).toEqual(before);
  });

  test("keeps a question that somebody has continued from", async () => {
    const { asked, opened } = await open();
    const child = await open({
      conversationId: opened.conversationId,
      parentMessageId: asked.userMessageId,
    });
    await turns.discard(asked.runId);
    expect(texts(child.opened)).toEqual(["Hello"]);
    await turns.settle(settlement(child.asked, child.opened));
    const after = await open({ conversationId: opened.conversationId });
    expect(texts(after.opened)).toEqual(["Hello", "Hello", "Good day"]);
  });
});

test("concurrent turns in one conversation keep order, tree and head well-formed", async () => {
  const { opened } = await turn();
  const { conversationId } = opened;
  const mine = await Promise.all(
    Array.from({ length: 60 }, async (_, index) => {
      const { asked, opened } = await open({ conversationId });
      // The branch is whole: it goes back to the very first message.
      expect(opened.history.length).toBeGreaterThanOrEqual(2);
      expect(opened.history.at(-1)?.messageId).toBe(opened.parentMessageId);
      if (index % 5 === 0) await turns.discard(asked.runId);
      else await turns.settle(settlement(asked, opened));
      return opened.sequence;
    }),
  );
  expect(new Set(mine).size).toBe(60);
  const messages = await database.sql<{
    id: string;
    parent_id: string | null;
    role: string;
    sequence: string;
  }>(
    "select id, parent_id, role, sequence from messages where conversation_id = ? order by sequence",
    [conversationId],
  );
  expect(messages).toHaveLength(2 + 48 * 2);
  const byId = new Map(messages.map((message) => [message.id, message]));
  const parentOf = (message: { parent_id: string | null }) =>
    message.parent_id === null ? undefined : byId.get(message.parent_id);
  const answers = messages.filter(({ role }) => role === "assistant");
  expect(answers.map((answer) => Number(parentOf(answer)?.sequence))).toEqual(
    answers.map(({ sequence }) => Number(sequence) - 1),
  );
  const questions = messages.filter(({ role }) => role === "user");
  expect(questions.map((question) => parentOf(question)?.role)).toEqual([
    undefined,
    ...Array.from({ length: 48 }, () => "assistant"),
  ]);
  const [row] = await database.sql<{ head_message_id: string; last_sequence: string }>(
    "select head_message_id, last_sequence from conversations where id = ?",
    [conversationId],
  );
  expect(byId.get(row?.head_message_id ?? "")?.role).toBe("assistant");
  expect(row?.last_sequence).toBe(String(2 + 60 * 2));
  const [running] = await database.sql(
    "select count(*)::int as running from runs where conversation_id = ? and state = 'running'",
    [conversationId],
  );
  expect(running).toEqual({ running: 0 });
});
