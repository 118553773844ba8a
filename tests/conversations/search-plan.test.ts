import { randomUUIDv7 } from "node:crypto";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  ownerWord,
  searchConversation,
  searchEverywhere,
} from "../../src/conversations/search.statements.ts";
import { blocksRead, genericPlan, nodesOf, scannedTables } from "../postgres/plans.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";

/** Messages, of a hundred users. Every word is in 1,000 of them, one in all. */
const messages = 1_000_000;

let database: TestDatabase;
let userId: string;

beforeAll(async () => {
  database = await createDatabase({ statementTimeoutMs: 600_000 });
  const { sql } = database;
  userId = await database.createUser();
  const conversationId = randomUUIDv7();
  await sql("insert into conversations (id, user_id) values (?, ?)", [conversationId, userId]);
  // The index is made at the end, as that is much quicker for so many.
  const [index] = await sql<{ definition: string }>(
    "select pg_get_indexdef('message_search_document_index'::regclass) as definition",
  );
  await sql("drop index message_search_document_index");
  await sql("alter table message_search drop constraint message_search_conversation_id_foreign");
  await sql("alter table message_search set unlogged");
  await sql(
    `insert into message_search
       (message_id, conversation_id, user_id, role, create_time, document)
     select md5('message' || n)::uuid, md5('conversation' || n / 20)::uuid, owner.id, 'user', now(),
       array_to_tsvector(array[
         'u' || replace(owner.id::text, '-', ''), 'everywhere', 'word' || n % 1000])
     from generate_series(1, ${messages}) n, lateral (
       select case when n / 1000 % 100 = 0 then '${userId}'::uuid
         else md5('user' || n / 1000 % 100)::uuid end as id
     ) owner`,
  );
  await sql(
    `insert into messages
       (id, conversation_id, role, status, content, tokens, sequence, depth, jump_depth)
     select message_id, '${conversationId}', 'user', 'completed',
       '[{"type": "text", "text": "word5 everywhere"}]', 1, row_number() over (), 1, 0
     from message_search where user_id = '${userId}'`,
  );
  await sql(index?.definition ?? "");
  await sql("vacuum analyze");
}, 600_000);
afterAll(() => database.close());

const values = (query: string, owner: string) => [
  owner,
  query,
  `'${ownerWord(owner)}'`,
  null,
  null,
  null,
  null,
  null,
  21,
];

test("among a million messages, words are found in their index", async () => {
  for (const statement of [searchEverywhere, searchConversation]) {
    const plan = await genericPlan(database, statement);
    expect(scannedTables(plan)).toEqual([]);
    const indexes = nodesOf(plan).map((node) => node["Index Name"]);
    expect(indexes).toContain("messages_pkey");
    expect(
      indexes.includes("message_search_document_index") ||
        indexes.includes("message_search_conversation_index"),
    ).toBe(true);
  }
  const everywhere = nodesOf(await genericPlan(database, searchEverywhere));
  expect(everywhere.map((node) => node["Index Name"])).toContain("message_search_document_index");
});

test("among a million messages, one user's rare word costs what that user's matches cost", async () => {
  // Ten of the user's 10,000 messages have it, and 1,000 of all.
  const cost = await blocksRead(database, searchEverywhere, values("word5", userId));
  expect(cost).toBeLessThan(400);
  const nobody = await blocksRead(database, searchEverywhere, values("word5", randomUUIDv7()));
  expect(nobody).toBeLessThan(50);
  const nothing = await blocksRead(database, searchEverywhere, values("nosuchword", userId));
  expect(nothing).toBeLessThan(50);
});

test("among a million messages, a word of every message ranks one user's only", async () => {
  const cost = await blocksRead(database, searchEverywhere, values("everywhere", userId));
  // The user's 10,000 matches, and not the million.
  expect(cost).toBeLessThan(12_000);
});
