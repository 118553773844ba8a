import { afterAll, beforeAll, expect, test } from "vitest";
import { splitRange } from "../../src/usage/time-range.ts";
import {
  createUsageRepository,
  sumStatement,
  type UsageGroup,
} from "../../src/usage/usage.repository.ts";
import { blocksRead, genericPlan, scannedTables } from "../postgres/plans.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";

const ledgers = { thousand: 1_000, million: 1_000_000 };
const day = 24 * 3_600_000;
/** Ninety days, of which rows are written evenly. */
const begin = Date.parse("2026-01-01T00:00:00Z");
const end = begin + 90 * day;

const databases = {} as Record<keyof typeof ledgers, TestDatabase>;
/** One of twenty users. */
let userId: string;

async function fill(rows: number): Promise<TestDatabase> {
  const database = await createDatabase({ statementTimeoutMs: 600_000 });
  const { sql, postgres } = database;
  for (const table of ["usage", "usage_pending", "usage_sums"]) {
    await sql(`alter table ${table} set unlogged`);
  }
  await sql(
    `insert into usage (run_id, user_id, api_key_id, conversation_id, model, provider, input_tokens,
       cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_micros,
       price_version, create_time)
     select md5('run' || n)::uuid, md5('user' || n % 20)::uuid, null, md5('c' || n)::uuid,
       'model-' || n % 4, 'openai', 10, 0, 0, 10, 0, n % 1000, 'test',
       timestamptz '2026-01-01 00:00Z' + n * (interval '90 days' / ${rows})
     from generate_series(0, ${rows - 1}) n`,
  );
  await sql("insert into usage_pending select run_id from usage");
  await createUsageRepository(postgres).addToSums(rows);
  await sql("truncate usage_pending");
  // Some rows of the last second are not summed yet.
  await sql(
    "insert into usage_pending select run_id from usage order by create_time desc limit 50",
  );
  await sql("vacuum analyze");
  return database;
}
beforeAll(async () => {
  databases.thousand = await fill(ledgers.thousand);
  databases.million = await fill(ledgers.million);
  const [row] = await databases.million.sql<{ id: string }>("select md5('user5')::uuid as id");
  userId = row?.id ?? "";
}, 600_000);
afterAll(async () => {
  await databases.thousand.close();
  await databases.million.close();
});

const groupings: UsageGroup[][] = [
  [],
  ["day"],
  ["day", "model", "provider"],
  ["model"],
  ["user"],
  ["day", "user", "apiKey"],
];

/** Off the borders of hours, as ranges mostly are. */
function values(owner: string | undefined): unknown[] {
  const split = splitRange({ start: begin + 30 * day + 12_345, end: end - 5 * day - 54_321 });
  const { start, firstHour, firstDay, lastDay, lastHour, end: last } = split;
  const borders = [start, firstHour, firstDay, lastDay, lastHour, last];
  return [...borders.map((time) => new Date(time).toISOString()), 100, ...(owner ? [owner] : [])];
}

test("a million rows are never read from end to end", async () => {
  for (const isOwn of [true, false]) {
    for (const groupBy of groupings) {
      const plan = await genericPlan(databases.million, sumStatement(groupBy, isOwn, false));
      // The sums of a few users may be.
      expect(scannedTables(plan)).not.toContain("usage");
    }
  }
});

test("one's own usage costs on a million rows what it costs on a thousand", async () => {
  for (const groupBy of groupings) {
    const statement = sumStatement(groupBy, true, false);
    for (const database of Object.values(databases)) {
      // Of the user's 50,000 rows, those of two parts of an hour, and the 50.
      expect(await blocksRead(database, statement, values(userId))).toBeLessThan(500);
    }
  }
});

test("everybody's usage by day, model or provider costs what the hours and days are, not the rows", async () => {
  for (const groupBy of groupings.slice(0, 4)) {
    const statement = sumStatement(groupBy, false, false);
    for (const database of Object.values(databases)) {
      expect(await blocksRead(database, statement, values(undefined))).toBeLessThan(1_000);
    }
  }
});
