import { randomUUIDv7 } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { splitRange } from "../../src/usage/time-range.ts";
import {
  createUsageRepository,
  usageGroups,
  type UsageGroup,
  type UsageRepository,
} from "../../src/usage/usage.repository.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { insertRows, type LedgerRow, sumRows } from "./rows.ts";

const hour = 3_600_000;
const begin = Date.parse("2026-02-27T21:30:00Z");
const users = [randomUUIDv7(), randomUUIDv7(), randomUUIDv7()] as const;
const keys = [randomUUIDv7(), null] as const;

let database: TestDatabase;
let repository: UsageRepository;
let rows: LedgerRow[];
beforeAll(async () => {
  database = await createDatabase();
  repository = createUsageRepository(database.postgres);
  // Five days over the end of a month, some rows exactly on a border of hours.
  rows = Array.from({ length: 600 }, (_, index) => ({
    userId: users[index % 3]!,
    apiKeyId: keys[index % 2]!,
    model: ["b-model", "A-model", "a-model"][index % 3]!,
    provider: index % 5 === 0 ? "anthropic" : "openai",
    inputTokens: index,
    outputTokens: index * 7,
    costMicros: index % 11 === 0 ? null : BigInt(index * 13),
    estimated: index % 17 === 0,
    createTime: new Date(begin + index * 0.2 * hour),
  }));
  await insertRows(database, rows);
});
afterAll(() => database.close());

async function sum(
  start: number,
  end: number,
  groupBy: readonly UsageGroup[],
  userId?: string,
  pageSize = 10_000,
) {
  const found = [];
  let after: readonly string[] | undefined;
  for (;;) {
    const page = await repository.sum({
      range: splitRange({ start, end }),
      groupBy,
      userId,
      limit: pageSize,
      after,
    });
    found.push(...page);
    after = page.at(-1)?.group;
    if (page.length < pageSize || groupBy.length === 0) break;
  }
  return found.map((total) => [
    total.group,
    total.runs,
    total.runsWithoutPrice,
    total.runsEstimated,
    total.usage.inputTokens,
    total.usage.outputTokens,
    total.costMicros,
  ]);
}
function expected(start: number, end: number, groupBy: readonly UsageGroup[], userId?: string) {
  const wanted = rows.filter(
    (row) =>
      row.createTime.getTime() >= start &&
      row.createTime.getTime() < end &&
      (userId === undefined || row.userId === userId),
  );
  if (groupBy.length === 0 && wanted.length === 0) return [[[], 0, 0, 0, 0, 0, 0n]];
  return sumRows(wanted, groupBy);
}

/** Ranges on borders and off them, from less than an hour to more than everything. */
const times = fc
  .tuple(fc.integer({ min: -20, max: 1500 }), fc.integer({ min: 1, max: 1500 }), fc.boolean())
  .map(([start, length, isOff]) => {
    const from = Math.floor(begin / hour) * hour + start * (hour / 10) + (isOff ? 1 : 0);
    return [from, from + length * (hour / 10)] as const;
  });

async function check(runs: number) {
  await fc.assert(
    fc.asyncProperty(
      times,
      fc.shuffledSubarray([...usageGroups]),
      fc.option(fc.constantFrom(...users), { nil: undefined }),
      fc.constantFrom(3, 10_000),
      async ([start, end], groupBy, userId, pageSize) => {
        expect(await sum(start, end, groupBy, userId, pageSize)).toEqual(
          expected(start, end, groupBy, userId),
        );
      },
    ),
    { numRuns: runs },
  );
}

test("any range, grouping, user and page size gives what adding the rows gives, before any sums are made", async () => {
  await expect(check(40)).resolves.toBeUndefined();
});

test("and while some rows are summed and others are not", async () => {
  expect(await repository.addToSums(250)).toBe(250);
  await expect(check(60)).resolves.toBeUndefined();
});

test("and when all are, by several processes at once, each row once", async () => {
  const counts = await Promise.all(
    Array.from({ length: 8 }, async () => {
      let total = 0;
      for (let tries = 0; tries < 40; tries += 1) total += await repository.addToSums(20);
      return total;
    }),
  );
  while ((await repository.addToSums(100)) > 0);
  expect(counts.reduce((sum, count) => sum + count, 0)).toBeGreaterThan(0);
  expect(await database.sql("select 1 from usage_pending")).toEqual([]);
  await expect(check(60)).resolves.toBeUndefined();
});

test("and with rows that come later to hours that were summed", async () => {
  const late = rows.slice(0, 90).map((row) => ({ ...row, costMicros: 5n }));
  await insertRows(database, late);
  rows.push(...late);
  await expect(check(20)).resolves.toBeUndefined();
  await repository.addToSums(40);
  await expect(check(20)).resolves.toBeUndefined();
});
