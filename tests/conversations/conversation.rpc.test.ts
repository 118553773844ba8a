import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ListMessagesRequestSchema } from "../../gen/tribe/v1/conversation_pb.js";
import type { Message } from "../../gen/tribe/v1/message_pb.js";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { failureOf } from "./calls.ts";
import { createConversations, nobody } from "./conversations.ts";

let database: TestDatabase;
let conversations: ReturnType<typeof createConversations>;
let userId: string;
let stranger: string;

beforeAll(async () => {
  database = await createDatabase();
  conversations = createConversations(database);
  userId = await database.createUser();
  stranger = await database.createUser();
});
afterAll(() => database.close());

const text = ({ content }: Message) => {
  const part = content[0]?.part;
  return part?.case === "text" ? part.value : undefined;
};

describe("create, get and delete", () => {
  test("give back what was said", async () => {
    const created = await conversations.create(userId, {
      title: "Plans",
      system: "Be brief.",
      metadata: { team: "blue", ünï: "\u{1f600}" },
    });
    expect(created).toMatchObject({
      title: "Plans",
      system: "Be brief.",
      metadata: { team: "blue", ünï: "\u{1f600}" },
      headMessageId: "",
      etag: "1",
    });
    expect(created.createTime).toEqual(created.updateTime);
    expect(await conversations.get(userId, created.conversationId)).toEqual(created);

    await conversations.delete(userId, created.conversationId);
    const again = await failureOf(conversations.delete(userId, created.conversationId));
    expect(again).toMatchObject({ code: "NOT_FOUND", metadata: { resource: "conversation" } });
  });

  test("need nothing", async () => {
    expect(await conversations.create(userId)).toMatchObject({ title: "", system: "" });
  });

  test("refuse what PostgreSQL cannot hold, naming the field", async () => {
    const attempts = {
      title: { title: "a\0" },
      system: { system: "\ud800" },
      'metadata["k"]': { metadata: { k: "\0" } },
    };
    for (const [field, request] of Object.entries(attempts)) {
      const failure = await failureOf(conversations.create(userId, request));
      expect(failure.code).toBe("INVALID_ARGUMENT");
      expect(failure.fields[0]?.field).toBe(field);
    }
  });

  test("are refused without a caller", async () => {
    const failure = await failureOf(conversations.messages(undefined, { conversationId: nobody }));
    expect(failure.code).toBe("UNAUTHENTICATED");
  });

  test("delete everything but the ledger", async () => {
    const { conversationId } = await conversations.turn(userId, "hello");
    await conversations.delete(userId, conversationId);
    const [row] = await database.sql(
      `select (select count(*)::int from messages where conversation_id = ?) as messages,
              (select count(*)::int from runs where conversation_id = ?) as runs,
              (select count(*)::int from usage where conversation_id = ?) as usage`,
      [conversationId, conversationId, conversationId],
    );
    expect(row).toEqual({ messages: 0, runs: 0, usage: 1 });
  });
});

test("somebody else's conversation does not exist", async () => {
  const { conversationId, userMessageId } = await conversations.turn(userId, "mine");
  const attempts = [
    conversations.get(stranger, conversationId),
    conversations.delete(stranger, conversationId),
    conversations.update(stranger, { conversation: { conversationId, title: "theirs" } }),
    conversations.update(stranger, { conversation: { conversationId } }),
    conversations.messages(stranger, { conversationId }),
    conversations.messages(stranger, { conversationId, leafMessageId: userMessageId }),
    conversations.fork(stranger, { conversationId }),
    conversations.get(userId, nobody),
    conversations.messages(userId, { conversationId: nobody }),
    conversations.messages(userId, { conversationId: nobody, leafMessageId: userMessageId }),
    conversations.fork(userId, { conversationId: nobody }),
  ];
  for (const { code } of await Promise.all(attempts.map(failureOf))) {
    expect(code).toBe("NOT_FOUND");
  }
  expect(await conversations.get(userId, conversationId)).toMatchObject({ title: "Hello" });
});

describe("list", () => {
  test("gives the caller's own, the last used first, in pages", async () => {
    const owner = await database.createUser();
    const ids: string[] = [];
    for (let index = 0; index < 7; index += 1) {
      ids.unshift((await conversations.turn(owner, `${index}`)).conversationId);
    }
    // Many at the very same time still have an order.
    await database.sql("update conversations set update_time = now() where user_id = ?", [owner]);
    const [used] = ids.splice(3, 1);
    await conversations.turn(owner, "again", { conversationId: used });
    const expected = [used, ...ids.toSorted().toReversed()];

    const pages: string[][] = [];
    let pageToken = "";
    do {
      const page = await conversations.list(owner, { pageSize: 3, pageToken });
      pages.push(page.conversations.map(({ conversationId }) => conversationId));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(pages.map((page) => page.length)).toEqual([3, 3, 1]);
    expect(pages.flat()).toEqual(expected);
  });

  test("gives 50 unless told otherwise, and no next page when there is none", async () => {
    const owner = await database.createUser();
    expect(await conversations.list(owner)).toEqual({ conversations: [], nextPageToken: "" });
    await database.sql(
      `insert into conversations (id, user_id)
       select gen_random_uuid(), '${owner}' from generate_series(1, 60)`,
    );
    expect((await conversations.list(owner)).conversations).toHaveLength(50);
    const whole = await conversations.list(owner, { pageSize: 60 });
    expect(whole.conversations).toHaveLength(60);
    expect(whole.nextPageToken).toBe("");
  });

  test("refuses a token that it did not give for this request", async () => {
    const owner = await database.createUser();
    for (let index = 0; index < 3; index += 1) await conversations.create(owner);
    const { nextPageToken } = await conversations.list(owner, { pageSize: 1 });
    expect(nextPageToken).toMatch(/^[\w-]+$/);
    const { conversationId } = await conversations.turn(userId, "x");
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const decoded = JSON.parse(Buffer.from(nextPageToken, "base64url").toString()) as unknown[];
    const attempts = [
      conversations.list(stranger, { pageToken: nextPageToken }),
      conversations.messages(userId, { conversationId, pageToken: nextPageToken }),
      ...[
        "nonsense",
        "!",
        encode({}),
        encode([]),
        encode([...decoded, 1]),
        encode([0, ...decoded.slice(1)]),
        encode([...decoded.slice(0, 2), "soon", decoded[3]]),
        encode([...decoded.slice(0, 2), 9e15, decoded[3]]),
        encode([...decoded.slice(0, 3), "'; drop table users"]),
      ].map((pageToken) => conversations.list(owner, { pageToken })),
    ];
    for (const failure of await Promise.all(attempts.map(failureOf))) {
      expect(failure.code).toBe("INVALID_ARGUMENT");
      expect(failure.fields[0]?.field).toBe("pageToken");
    }
    expect(
      (await conversations.list(owner, { pageToken: nextPageToken })).conversations,
    ).toHaveLength(2);
  });
});

describe("update", () => {
  test("changes what the mask names, and nothing else", async () => {
    const { conversationId } = await conversations.create(userId, {
      title: "old",
      system: "old",
      metadata: { a: "1" },
    });
    const conversation = { conversationId, title: "new", system: "", metadata: { b: "2" } };
    const title = await conversations.update(userId, {
      conversation,
      updateMask: { paths: ["title"] },
    });
    expect(title).toMatchObject({ title: "new", system: "old", metadata: { a: "1" }, etag: "2" });
    const rest = await conversations.update(userId, {
      conversation,
      updateMask: { paths: ["system", "metadata"] },
    });
    expect(rest).toMatchObject({ title: "new", system: "", metadata: { b: "2" }, etag: "3" });
    expect(await conversations.get(userId, conversationId)).toEqual(rest);
  });

  test("without a mask changes what is not empty", async () => {
    const { conversationId } = await conversations.create(userId, { title: "old", system: "old" });
    const conversation = { conversationId, system: "new" };
    expect(await conversations.update(userId, { conversation })).toMatchObject({
      title: "old",
      system: "new",
    });
    const nothing = await conversations.update(userId, { conversation: { conversationId } });
    expect(nothing).toMatchObject({ title: "old", system: "new", etag: "2" });
  });

  test("with an old etag is aborted", async () => {
    const { conversationId, etag } = await conversations.create(userId);
    const update = (title: string, etag: string) =>
      conversations.update(userId, { conversation: { conversationId, title, etag } });
    const changed = await update("one", etag);
    for (const old of [etag, "other", "0", "9".repeat(64)]) {
      expect((await failureOf(update("two", old))).code).toBe("ABORTED");
      expect((await failureOf(update("", old))).code).toBe("ABORTED");
    }
    expect(await update("two", changed.etag)).toMatchObject({ title: "two" });
  });

  test("only one of many with the same etag succeeds", async () => {
    const { conversationId, etag } = await conversations.create(userId);
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, (_, index) =>
        conversations.update(userId, {
          conversation: { conversationId, title: `${index}`, etag },
        }),
      ),
    );
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
  });

  test("a turn changes the etag", async () => {
    const { conversationId } = await conversations.turn(userId, "one");
    const { etag } = await conversations.get(userId, conversationId);
    await conversations.turn(userId, "two", { conversationId });
    expect((await conversations.get(userId, conversationId)).etag).not.toBe(etag);
  });

  test("refuses a mask of other fields and a missing conversation", async () => {
    const { conversationId } = await conversations.create(userId);
    const failure = await failureOf(
      conversations.update(userId, {
        conversation: { conversationId },
        updateMask: { paths: ["title", "head_message_id"] },
      }),
    );
    expect(failure).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(failure.fields[0]).toMatchObject({
      field: "updateMask",
      description: expect.stringContaining("head_message_id"),
    });
    const missing = await failureOf(conversations.update(userId, {}));
    expect(missing.fields[0]?.field).toBe("conversation");
  });
});

/** All pages of a list of messages. */
async function pagesOf(request: MessageInitShape<typeof ListMessagesRequestSchema>) {
  const pages: string[][] = [];
  let pageToken = "";
  do {
    const page = await conversations.messages(userId, { ...request, pageToken });
    pages.push(page.messages.map((message) => text(message) ?? ""));
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  return pages;
}

describe("messages", () => {
  test("come with everything that is known of them", async () => {
    const turn = await conversations.turn(userId, "hello", { metadata: { k: "v" } });
    const { conversationId, userMessageId, assistantMessageId, runId } = turn;
    const { messages } = await conversations.messages(userId, { conversationId });
    expect(messages).toMatchObject([
      {
        messageId: userMessageId,
        conversationId,
        parentMessageId: "",
        role: 1,
        status: 1,
        content: [{ part: { case: "text", value: "hello" } }],
        sequence: 1n,
        metadata: { k: "v" },
        runId: "",
        finishReason: 0,
        usage: undefined,
        costMicros: undefined,
      },
      {
        messageId: assistantMessageId,
        parentMessageId: userMessageId,
        role: 2,
        status: 1,
        sequence: 2n,
        runId,
        model: "demo-1",
        provider: "demo",
        finishReason: 1,
        usage: { inputTokens: 12n, cachedInputTokens: 4n, outputTokens: 7n, reasoningTokens: 3n },
        costMicros: 1234n,
      },
    ]);
    expect(messages[0]?.createTime?.seconds).toBeGreaterThan(1_700_000_000n);
  });

  test("of an empty conversation are none", async () => {
    const { conversationId } = await conversations.create(userId);
    expect(await conversations.messages(userId, { conversationId })).toEqual({
      messages: [],
      nextPageToken: "",
    });
  });

  test("come in pages, all branches or one, from either end", async () => {
    const first = await conversations.turn(userId, "a");
    const { conversationId } = first;
    const second = await conversations.turn(userId, "b", { conversationId });
    const side = await conversations.turn(userId, "c", {
      conversationId,
      parentMessageId: first.assistantMessageId,
    });
    await conversations.turn(userId, "d", {
      conversationId,
      parentMessageId: second.assistantMessageId,
    });
    const all = { conversationId, pageSize: 3 };
    expect(await pagesOf(all)).toEqual([
      ["a", "a!", "b"],
      ["b!", "c", "c!"],
      ["d", "d!"],
    ]);
    expect(await pagesOf({ ...all, newestFirst: true })).toEqual([
      ["d!", "d", "c!"],
      ["c", "b!", "b"],
      ["a!", "a"],
    ]);
    const branch = { ...all, leafMessageId: side.assistantMessageId };
    expect(await pagesOf(branch)).toEqual([["a", "a!", "c"], ["c!"]]);
    expect(await pagesOf({ ...branch, newestFirst: true })).toEqual([["c!", "c", "a!"], ["a"]]);
    expect(await pagesOf({ ...branch, pageSize: 4 })).toEqual([["a", "a!", "c", "c!"]]);
    expect(await pagesOf({ ...all, leafMessageId: second.userMessageId })).toEqual([
      ["a", "a!", "b"],
    ]);
    expect(await pagesOf({ conversationId, pageSize: 8 })).toHaveLength(1);
  });

  test("of a branch are refused when the leaf is another conversation's", async () => {
    const { conversationId } = await conversations.turn(userId, "a");
    const other = await conversations.turn(userId, "b");
    for (const leafMessageId of [other.assistantMessageId, nobody]) {
      const failure = await failureOf(
        conversations.messages(userId, { conversationId, leafMessageId }),
      );
      expect(failure.code).toBe("INVALID_ARGUMENT");
      expect(failure.fields[0]?.field).toBe("leafMessageId");
    }
  });

  test("end a page early when they are large, and lose none", async () => {
    const { conversationId } = await conversations.turn(userId, "a");
    const last = await conversations.turn(userId, "b", { conversationId });
    // Random text is stored nearly as large as it is.
    await database.sql(
      `update messages set content = jsonb_build_array(jsonb_build_object('type', 'text', 'text',
         (content->0->>'text') || (
           select string_agg(gen_random_uuid()::text, '') from generate_series(1, 20000))))
       where conversation_id = ?`,
      [conversationId],
    );
    for (const leafMessageId of ["", last.assistantMessageId]) {
      for (const newestFirst of [false, true]) {
        const pages = await pagesOf({ conversationId, leafMessageId, newestFirst });
        const starts = pages.map((page) => page.map((message) => message[0]));
        expect(starts.flat().join("")).toBe(newestFirst ? "bbaa" : "aabb");
        expect(starts.length).toBeGreaterThan(1);
        expect(starts.length).toBeLessThanOrEqual(4);
      }
    }
  });
});

describe("fork", () => {
  test("copies one branch in order, with new ids and everything else the same", async () => {
    const { conversationId } = await conversations.create(userId, {
      title: "T",
      system: "S",
      metadata: { m: "1" },
    });
    const first = await conversations.turn(userId, "a", { conversationId, metadata: { k: "v" } });
    const second = await conversations.turn(userId, "b", { conversationId });
    await conversations.turn(userId, "side", {
      conversationId,
      parentMessageId: first.assistantMessageId,
    });
    const copy = await conversations.fork(userId, {
      conversationId,
      messageId: second.assistantMessageId,
      title: "Copy",
    });
    expect(copy).toMatchObject({ title: "Copy", system: "S", metadata: { m: "1" } });
    expect(copy.conversationId).not.toBe(conversationId);

    const { messages } = await conversations.messages(userId, {
      conversationId: copy.conversationId,
    });
    const original = await conversations.messages(userId, {
      conversationId,
      leafMessageId: second.assistantMessageId,
    });
    expect(messages).toEqual(
      original.messages.map((message, index) =>
        Object.assign({}, message, {
          messageId: messages[index]?.messageId,
          conversationId: copy.conversationId,
          parentMessageId: messages[index - 1]?.messageId ?? "",
          sequence: BigInt(index + 1),
          runId: "",
        }),
      ),
    );
    const ids = [...messages, ...original.messages].map(({ messageId }) => messageId);
    expect(new Set(ids).size).toBe(8);
    expect(copy.headMessageId).toBe(messages[3]?.messageId);

    await conversations.turn(userId, "c", { conversationId: copy.conversationId });
    const { headMessageId } = await conversations.get(userId, copy.conversationId);
    expect(
      await pagesOf({
        conversationId: copy.conversationId,
        leafMessageId: headMessageId,
        pageSize: 2,
      }),
    ).toEqual([
      ["a", "a!"],
      ["b", "b!"],
      ["c", "c!"],
    ]);
    const billed = await database.sql("select 1 from usage where conversation_id = ?", [
      copy.conversationId,
    ]);
    expect(billed).toHaveLength(1);
  });

  test("takes the head and the title of the original, and an empty one too", async () => {
    const { conversationId } = await conversations.turn(userId, "a");
    const copy = await conversations.fork(userId, { conversationId });
    expect(copy.title).toBe("Hello");
    expect(await pagesOf({ conversationId: copy.conversationId })).toEqual([["a", "a!"]]);
    const empty = await conversations.create(userId, { title: "E" });
    expect(
      await conversations.fork(userId, { conversationId: empty.conversationId }),
    ).toMatchObject({ title: "E", headMessageId: "" });
  });

  test("refuses a message of another conversation", async () => {
    const { conversationId } = await conversations.turn(userId, "a");
    const other = await conversations.turn(userId, "b");
    const failure = await failureOf(
      conversations.fork(userId, { conversationId, messageId: other.assistantMessageId }),
    );
    expect(failure.fields[0]?.field).toBe("messageId");
  });
});
