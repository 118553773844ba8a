import { randomUUIDv7 } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { MessageRole } from "../../gen/tribe/v1/message_pb.js";
import { createSearchIndexer } from "../../src/conversations/search-indexer.ts";
import { createMessageSearchRepository } from "../../src/conversations/search.repository.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { failureOf } from "./calls.ts";
import { createConversations } from "./conversations.ts";

let database: TestDatabase;
let conversations: ReturnType<typeof createConversations>;
let userId: string;

beforeAll(async () => {
  database = await createDatabase();
  conversations = createConversations(database);
  userId = await database.createUser();
});
afterAll(() => database.close());

type Request = Parameters<typeof conversations.search>[1];

/** The texts of what is found. */
async function found(query: string, request: Request = {}, user = userId) {
  const { results } = await conversations.search(user, { query, ...request });
  return results.map(({ message }) => {
    const part = message?.content[0]?.part;
    return part?.case === "text" ? part.value : "";
  });
}

const only = { role: MessageRole.USER };

describe("a search", () => {
  test("finds messages at once, the best match first", async () => {
    await conversations.turn(userId, "one zebra among many other animals of the wide savanna");
    await conversations.turn(userId, "zebra zebra");
    await conversations.turn(userId, "no such animal");
    expect(await found("zebra", only)).toEqual([
      "zebra zebra",
      "one zebra among many other animals of the wide savanna",
    ]);
    const { results } = await conversations.search(userId, { query: "zebra", ...only });
    expect(results.map(({ rank }) => rank)).toEqual(
      results.map(({ rank }) => rank).toSorted((a, b) => b - a),
    );
    expect(results[0]?.rank).toBeGreaterThan(0);
  });

  test("understands words, phrases, or and not, in any case and script", async () => {
    const texts = [
      "Alpha beta gamma",
      "gamma beta alpha",
      "Über die Brücke",
      "東京 タワー",
      "a-b_c 3.14",
    ];
    for (const text of texts) await conversations.turn(userId, text);
    const cases: [string, string[]][] = [
      ["alpha GAMMA", ["Alpha beta gamma", "gamma beta alpha"]],
      ['"beta gamma"', ["Alpha beta gamma"]],
      ['alpha -"beta gamma"', ["gamma beta alpha"]],
      ["brücke or タワー", ["Über die Brücke", "東京 タワー"]],
      ["3.14", ["a-b_c 3.14"]],
      ["alp", []],
      ["...", []],
      ["'", []],
      ["\\", []],
      ["a & | ! ( ) : * <->", ["a-b_c 3.14"]],
    ];
    for (const [query, expected] of cases) {
      expect([query, ...(await found(query, only)).toSorted()]).toEqual([
        query,
        ...expected.toSorted(),
      ]);
    }
  });

  test("finds only the caller's own", async () => {
    const stranger = await database.createUser();
    await conversations.turn(stranger, "secretword theirs");
    await conversations.turn(userId, "secretword mine");
    // Whoever writes another's inner mark gets into no one else's results.
    await conversations.turn(stranger, `secretword u${userId.replaceAll("-", "")}`);
    expect(await found("secretword", only)).toEqual(["secretword mine"]);
    expect(await found("secretword", only, await database.createUser())).toEqual([]);
  });

  test("keeps to a conversation, a role and a time", async () => {
    const first = await conversations.turn(userId, "filterable");
    const second = await conversations.turn(userId, "filterable");
    const ids = async (request: Request) => {
      const { results } = await conversations.search(userId, { query: "filterable", ...request });
      return results.map(({ message }) => message?.messageId).toSorted();
    };
    const all = [first, second].flatMap((turn) => [turn.userMessageId, turn.assistantMessageId]);
    expect(await ids({})).toEqual(all.toSorted());
    expect(await ids({ conversationId: second.conversationId })).toEqual(
      [second.userMessageId, second.assistantMessageId].toSorted(),
    );
    expect(await ids({ role: MessageRole.ASSISTANT })).toEqual(
      [first.assistantMessageId, second.assistantMessageId].toSorted(),
    );
    await database.sql(
      `update message_search set create_time = '2001-01-01T00:00:00Z' where message_id = ?`,
      [first.userMessageId],
    );
    const time = (iso: string) => ({ seconds: BigInt(Date.parse(iso) / 1000), nanos: 0 });
    const year2001 = {
      startTime: time("2001-01-01T00:00:00Z"),
      endTime: time("2001-01-01T00:00:01Z"),
    };
    expect(await ids(year2001)).toEqual([first.userMessageId]);
    expect(await ids({ endTime: time("2001-01-01T00:00:00Z") })).toEqual([]);
    expect(await ids({ startTime: time("2002-01-01T00:00:00Z") })).toHaveLength(3);
  });

  test("refuses times that are none, and text that PostgreSQL cannot hold", async () => {
    const attempts: [Request, string][] = [
      [{ startTime: { seconds: 10n ** 17n, nanos: 0 } }, "startTime"],
      [{ endTime: { seconds: -(10n ** 17n), nanos: 0 } }, "endTime"],
      [{ query: "a\0" }, "query"],
      [{ pageToken: "x" }, "pageToken"],
    ];
    for (const [request, field] of attempts) {
      const failure = await failureOf(conversations.search(userId, { query: "a", ...request }));
      expect(failure.code).toBe("INVALID_ARGUMENT");
      expect(failure.fields[0]?.field).toBe(field);
    }
  });

  test("comes in pages that hold each result once", async () => {
    const owner = await database.createUser();
    const { conversationId } = await conversations.turn(owner, "pageable");
    for (let index = 0; index < 12; index += 1) {
      await conversations.turn(owner, `pageable ${"filler ".repeat(index % 4)}`, {
        conversationId,
      });
    }
    const pages: (string | undefined)[][] = [];
    let pageToken = "";
    do {
      const page = await conversations.search(owner, { query: "pageable", pageSize: 5, pageToken });
      pages.push(page.results.map(({ message }) => message?.messageId));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    expect(pages.map((page) => page.length)).toEqual([5, 5, 5, 5, 5, 1]);
    expect(new Set(pages.flat()).size).toBe(26);
    const whole = await conversations.search(owner, { query: "pageable", pageSize: 100 });
    expect(pages.flat()).toEqual(whole.results.map(({ message }) => message?.messageId));
    const { nextPageToken } = await conversations.search(owner, { query: "pageable" });
    const other = conversations.search(owner, { query: "filler", pageToken: nextPageToken });
    expect((await failureOf(other)).fields[0]?.field).toBe("pageToken");
  });

  test("gives passages as HTML in which only the marks are markup", async () => {
    await conversations.turn(
      userId,
      `<script>alert("needle & 'thread'")</script> \u0001\u0002needle\u0003 <mark>x</mark> <b>needle</b>`,
    );
    const { results } = await conversations.search(userId, { query: "needle", ...only });
    // A passage begins and ends with a word.
    expect(results[0]?.snippet).toBe(
      "script&gt;alert(&quot;<mark>needle</mark> &amp; &#39;thread&#39;&quot;)&lt;/script&gt; " +
        "<mark>needle</mark> &lt;mark&gt;x&lt;/mark&gt; &lt;b&gt;<mark>needle</mark>",
    );
  });

  test("shows where in a long message the words are", async () => {
    const filler = "lorem ipsum ".repeat(500);
    await conversations.turn(userId, `${filler} the haystackword ${filler} haystackword end`);
    const { results } = await conversations.search(userId, { query: "haystackword", ...only });
    expect(results[0]?.snippet.length).toBeLessThan(600);
    expect(results[0]?.snippet.match(/<mark>haystackword<\/mark>/g)?.length).toBe(2);
    expect(results[0]?.snippet).toContain(" … ");
  });
});

describe("what is searched", () => {
  test("are the texts, of copies too, and no other parts", async () => {
    const { conversationId } = await conversations.turn(userId, "", {
      content: [
        { type: "text", text: "firstpart" },
        { type: "tool_result", toolCallId: "c", content: "hiddenpart" },
        { type: "text", text: "secondpart" },
      ],
    });
    expect(await found("firstpart secondpart")).toHaveLength(1);
    expect(await found("hiddenpart")).toEqual([]);
    const copy = await conversations.fork(userId, { conversationId });
    expect(await found("firstpart", { conversationId: copy.conversationId })).toEqual([
      "firstpart",
    ]);
    await conversations.delete(userId, conversationId);
    expect(await found("firstpart")).toHaveLength(1);
  });

  test("is forgotten when a conversation goes before its words were found", async () => {
    const { conversationId } = await conversations.turn(userId, "vanishing");
    await conversations.delete(userId, conversationId);
    expect(await found("vanishing")).toEqual([]);
    const queued = await database.sql("select 1 from search_queue where user_id = ?", [userId]);
    expect(queued).toEqual([]);
  });

  test.each([
    ["words of four-byte letters", "𝒂𝒃-𝒄𝒅 "],
    ["compound words", "ab-cd-ef/gh.ij "],
    ["no words", "\u0001\t\n"],
    ["one word", "x"],
    ["markup", "<a href='"],
  ])("is any text of any length: %s", async (_, unit) => {
    const mark = `m${randomUUIDv7().replaceAll("-", "")}`;
    let text = `${mark} `;
    for (let index = 0; text.length < 250_000; index += 1) {
      text += unit === "x" || unit.startsWith("\u0001") ? unit.repeat(1000) : unit + index;
    }
    await conversations.turn(userId, text);
    expect(await found(mark, only)).toHaveLength(1);
  });
});

test("the background finds the words too, whoever looks", async () => {
  const owner = await database.createUser();
  const ids = await database.sql<{ id: string }>(
    `with conversation as (
       insert into conversations (id, user_id) values (gen_random_uuid(), '${owner}') returning id
     ), message as (
       insert into messages
         (id, conversation_id, role, status, content, tokens, sequence, depth, jump_depth)
       select gen_random_uuid(), id, 'user', 'completed', '[{"type": "text", "text": "many"}]',
         1, n, 1, 0
       from conversation, generate_series(1, 900) n returning id
     )
     insert into search_queue (user_id, message_id) select '${owner}', id from message
     returning message_id as id`,
  );
  expect(ids).toHaveLength(900);
  const search = createMessageSearchRepository(database.postgres);
  const counts = await Promise.all(Array.from({ length: 6 }, () => search.indexSome()));
  expect(counts.every((count) => count <= 200)).toBe(true);
  const failures: unknown[] = [];
  const indexer = createSearchIndexer(search, (error) => failures.push(error));
  const left = () => database.sql("select 1 from search_queue");
  await expect.poll(left, { timeout: 20_000, interval: 100 }).toEqual([]);
  await indexer.stop();
  const [row] = await database.sql(
    "select count(*)::int as indexed from message_search where user_id = ?",
    [owner],
  );
  expect(row).toEqual({ indexed: 900 });
  expect(failures).toEqual([]);
});
