import { afterAll, beforeAll, expect, test } from "vitest";
import { createMessageRepository } from "../../src/conversations/message.repository.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { createConversations } from "./conversations.ts";

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
});
afterAll(() => database.close());

interface Row {
  id: string;
  parent_id: string | null;
  jump_id: string | null;
  depth: number;
  jump_depth: number;
}

/** A reproducible series of numbers from 0 to 1. */
function random(seed: number) {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) & 0x7f_ff_ff_ff;
    return state / 0x7f_ff_ff_ff;
  };
}

test("in any tree each message knows its depth and a jump that makes ways short", async () => {
  const conversations = createConversations(database);
  const messages = createMessageRepository(database.postgres);
  const userId = await database.createUser();
  const next = random(7);
  const leaves: string[] = [];
  const first = await conversations.turn(userId, "0");
  leaves.push(first.userMessageId, first.assistantMessageId);
  const { conversationId } = first;
  for (let index = 1; index < 120; index += 1) {
    // Mostly the last message, so that branches become long; else any.
    const place = next() < 0.8 ? leaves.length - 1 : Math.floor(next() * leaves.length);
    const turn = await conversations.turn(userId, `${index}`, {
      conversationId,
      parentMessageId: leaves[place],
    });
    leaves.push(turn.userMessageId, turn.assistantMessageId);
  }

  const rows = await database.sql<Row>(
    "select id, parent_id, jump_id, depth, jump_depth from messages where conversation_id = ?",
    [conversationId],
  );
  const byId = new Map(rows.map((row) => [row.id, row]));
  const chainOf = (id: string | null): Row[] => {
    const row = id === null ? undefined : byId.get(id);
    return row === undefined ? [] : [...chainOf(row.parent_id), row];
  };
  const deepest = Math.max(...rows.map(({ depth }) => depth));
  expect(deepest).toBeGreaterThan(30);
  for (const row of rows) {
    const chain = chainOf(row.id);
    expect(row.depth).toBe(chain.length);
    // The jump is the ancestor at that depth; above the first message it is none.
    expect(row.jump_id).toBe(chain[row.jump_depth - 1]?.id ?? null);
    expect(row.jump_depth).toBeLessThan(row.depth);
    let steps = 0;
    for (let at = row; at.depth > 1; steps += 1) {
      at = byId.get(at.jump_depth >= 1 ? (at.jump_id ?? "") : (at.parent_id ?? "")) ?? row;
    }
    expect(steps).toBeLessThanOrEqual(2 * Math.ceil(Math.log2(row.depth + 1)));
  }

  for (const leafMessageId of leaves.filter((_, index) => index % 13 === 0)) {
    const expected = chainOf(leafMessageId).map(({ id }) => id);
    for (const newestFirst of [false, true]) {
      const read: string[] = [];
      let after: number | undefined;
      do {
        const page = await messages.page({
          userId,
          conversationId,
          leafMessageId,
          newestFirst,
          limit: 7,
          after,
        });
        if (typeof page === "string") throw new Error(page);
        read.push(...page.messages.map(({ messageId }) => messageId));
        after = page.next;
      } while (after !== undefined);
      expect(read).toEqual(newestFirst ? expected.toReversed() : expected);
    }
  }
});
