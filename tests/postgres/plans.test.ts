import { randomUUIDv7 } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { abandoned, byIdempotencyKey } from "../../src/chat/run.repository.ts";
import { openExisting, settle, settleReserved } from "../../src/chat/turn.statements.ts";
import { recentConversations } from "../../src/conversations/conversation.repository.ts";
import { branchPage, treePage } from "../../src/conversations/message.statements.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { fill } from "./fill.ts";
import { blocksRead, genericPlan, nodesOf, planOf, scannedTables, sorts } from "./plans.ts";

/** Messages of the long conversation. */
const length = 50_000;

let database: TestDatabase;
let filled: Awaited<ReturnType<typeof fill>>;

beforeAll(async () => {
  database = await createDatabase({ statementTimeoutMs: 120_000 });
  filled = await fill(database, length);
});
afterAll(() => database.close());

describe("on 100,000 rows", () => {
  test("a user's conversations by recency come from one index, in its order", async () => {
    const after = { updateTime: new Date(Date.now() - 10_000_000), conversationId: randomUUIDv7() };
    for (const cursor of [undefined, after]) {
      const query = recentConversations(
        database.postgres.orm.em.fork(),
        filled.userId,
        51,
        cursor,
      ).getFormattedQuery();
      const plan = await planOf(database, query);
      expect(nodesOf(plan).map((node) => node["Index Name"])).toContain(
        "conversations_recency_index",
      );
      expect(scannedTables(plan)).toEqual([]);
      expect(sorts(plan)).toBe(false);
    }
  });

  test.each(Object.entries(treePage))(
    "a conversation's messages, %s, come from one index, in its order",
    async (_, statement) => {
      const plan = await genericPlan(database, statement);
      expect(nodesOf(plan).map((node) => node["Index Name"])).toContain("messages_order_unique");
      expect(scannedTables(plan)).toEqual([]);
      expect(sorts(plan)).toBe(false);
    },
  );

  test.each(Object.entries(branchPage))(
    "a branch, %s, is climbed by primary key",
    async (_, statement) => {
      const plan = await genericPlan(database, statement);
      expect(nodesOf(plan).map((node) => node["Index Name"])).toContain("messages_pkey");
      expect(scannedTables(plan)).toEqual([]);
      expect(sorts(plan)).toBe(false);
    },
  );

  test.each([openExisting, settle, abandoned, byIdempotencyKey])(
    "$name reads no table from end to end",
    async (statement) => {
      const scanned = scannedTables(await genericPlan(database, statement));
      // It has a row for each run that is under way with a budget: none here.
      expect(scanned.filter((table) => table !== "budget_reservations")).toEqual([]);
    },
  );

  test("running runs come from their own index", async () => {
    const plan = await genericPlan(database, abandoned);
    expect(nodesOf(plan).map((node) => node["Index Name"])).toContain("runs_running_index");
  });
});

test("a run ends by its key, also where hardly any run is under way", async () => {
  await database.sql("update runs set state = 'completed' where state = 'running'");
  await database.sql("analyze runs");
  for (const statement of [settle, settleReserved]) {
    const plan = await genericPlan(database, statement);
    const indexes = nodesOf(plan).filter((node) => node["Relation Name"] === "runs");
    expect(indexes.map((node) => node["Index Name"] ?? "runs_pkey")).toEqual(
      indexes.map(() => "runs_pkey"),
    );
  }
});

describe(`in a conversation of ${length} messages`, () => {
  const pageSize = 50;

  test("a page costs the same at either end", async () => {
    const { userId, conversationId } = filled;
    const costs: number[] = [];
    for (const after of [0, length / 2, length - pageSize]) {
      costs.push(
        await blocksRead(database, treePage.oldestFirst, [
          conversationId,
          userId,
          after,
          pageSize + 1,
        ]),
        await blocksRead(database, treePage.newestFirst, [
          conversationId,
          userId,
          after + pageSize,
          pageSize + 1,
        ]),
      );
    }
    expect(Math.max(...costs)).toBeLessThan(150);
  });

  test("a page of a branch costs the same at either end", async () => {
    const { userId, conversationId, leafMessageId } = filled;
    const costs: number[] = [];
    for (const bottom of [1, 2, 12_345, length / 2, length - pageSize + 1]) {
      for (const statement of Object.values(branchPage)) {
        const top = bottom + pageSize - 1;
        costs.push(
          await blocksRead(database, statement, [
            conversationId,
            userId,
            leafMessageId,
            top,
            bottom,
            pageSize,
          ]),
        );
      }
    }
    // Each message is looked at twice, at about four blocks, and so is each jump.
    expect(Math.max(...costs)).toBeLessThan(1000);
  });

  test("a turn reads only the history that it needs", async () => {
    const values = [filled.conversationId, filled.userId, "", null, randomUUIDv7(), "[]", 1];
    const opening = [...values, null, randomUUIDv7(), null, randomUUIDv7(), "demo", null, null];
    const cost = await blocksRead(database, openExisting, [...opening, null, 200]);
    expect(cost).toBeLessThan(300);
  });
});
