import { randomUUIDv7 } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { createRunRepository } from "../../src/chat/run.repository.ts";
import { createRuns } from "../../src/chat/runs.ts";
import { createSweeper } from "../../src/chat/sweeper.ts";
import { createTurnRepository } from "../../src/chat/turn.repository.ts";
import { DomainError } from "../../src/errors.ts";
import { BUILT_IN_CATALOG } from "../../src/providers/built-in-catalog.ts";
import { createDemoProvider } from "../../src/providers/demo/demo-provider.ts";
import { createModels, type ModelChoice } from "../../src/providers/models.ts";
import type { ModelRequest } from "../../src/providers/provider.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import {
  createBudgetRepository,
  type BudgetRepository,
} from "../../src/usage/budget.repository.ts";
import { defaultUserBudget } from "../../src/usage/budget-settings.ts";
import { createBudgets } from "../../src/usage/budgets.ts";
import { createTrail } from "../../src/audit/trail.ts";
import { openAudit } from "../audit/events.ts";
import { opening, settlement } from "../chat/turns.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { insertRows } from "./rows.ts";

let database: TestDatabase;
let repository: BudgetRepository;
let audit: ReturnType<typeof openAudit>;
let now: Date;
let userId: string;
beforeAll(async () => {
  database = await createDatabase();
  audit = openAudit(database.postgres);
  repository = createBudgetRepository(database.postgres, audit);
});
afterAll(async () => {
  await audit.close();
  await database.close();
});
beforeEach(async () => {
  userId = await database.createUser();
});

/** A dollar for a million input tokens, ten for as many output tokens. */
const price = {
  inputMicros: 1_000_000n,
  cachedInputMicros: 100_000n,
  cacheWriteMicros: 1_000_000n,
  outputMicros: 10_000_000n,
};
const models = createModels({
  providers: [{ ...createDemoProvider(), name: "openai" }],
  catalog: {
    priceVersion: "test",
    models: [
      {
        model: "priced",
        deployments: [{ provider: "openai", model: "priced" }],
        contextTokens: 100_000,
        maxOutputTokens: 16_000,
        price,
      },
    ],
  },
});
const choice: ModelChoice = models.resolve("priced");
const request: ModelRequest = {
  model: "priced",
  messages: [{ role: "user", content: [{ type: "text", text: "Hello" }] }],
};

/** Budgets whose clock says `now`, with these defaults for users. */
function budgetsWith(limits: { dailyMicros?: number; monthlyMicros?: number }) {
  return createBudgets({
    repository,
    known: { mayLimit: () => true },
    settings: {
      get: (definition) =>
        (definition.name === defaultUserBudget.name ? limits : definition.default) as never,
      onChange: () => {},
    },
    clock: () => now,
  });
}
function wish(maxOutputTokens?: number) {
  return {
    runId: randomUUIDv7(),
    caller: { userId, role: "user" as const, permissions: new Set<string>() },
    choice,
    request: maxOutputTokens === undefined ? request : { ...request, maxOutputTokens },
    answerTokens: 16_000,
  };
}
async function spend(costMicros: bigint, createTime: Date) {
  const tokens = { inputTokens: 1, outputTokens: 1, estimated: false };
  const row = { userId, apiKeyId: null, model: "priced", provider: "openai", ...tokens };
  await insertRows(database, [{ ...row, costMicros, createTime }]);
}
function refusalOf(reservation: Promise<unknown>): Promise<DomainError> {
  return reservation.then(
    () => Promise.reject(new Error("it was granted")),
    (error: DomainError) => error,
  );
}

describe("a day and a month", () => {
  test("begin anew at midnight UTC, and the refusal says in how many seconds", async () => {
    const budgets = budgetsWith({ dailyMicros: 10_000, monthlyMicros: 25_000 });
    now = new Date("2028-02-28T23:59:30.000Z");
    await spend(10_000n, new Date("2028-02-28T00:00:00.000Z"));
    const today = await refusalOf(budgets.reserve(wish()));
    expect(today).toMatchObject({
      reason: "BUDGET_EXHAUSTED",
      retryAfterSeconds: 30,
      metadata: { subject: `user:${userId}`, period: "day", resetTime: "2028-02-29T00:00:00.000Z" },
    });
    // A leap day.
    now = new Date("2028-02-29T00:00:00.000Z");
    expect(await budgets.reserve(wish(100))).toMatchObject({ maxOutputTokens: 100 });
    await spend(10_000n, now);
    await spend(4_900n, new Date("2028-02-29T23:59:59.999Z"));
    now = new Date("2028-02-29T23:59:59.000Z");
    expect(await refusalOf(budgets.reserve(wish()))).toMatchObject({ metadata: { period: "day" } });
    // The month ends with the day; what is reserved goes on to count.
    now = new Date("2028-03-01T00:00:00.000Z");
    const march = await budgets.reserve(wish());
    expect(march?.maxOutputTokens).toBeGreaterThan(500);
    expect(march?.maxOutputTokens).toBeLessThan(1_000);
  });

  test("of the year's end are those of the new year", async () => {
    const budgets = budgetsWith({ monthlyMicros: 5_000 });
    now = new Date("2026-12-31T23:00:00.000Z");
    await spend(5_000n, new Date("2026-12-01T00:00:00.000Z"));
    expect(await refusalOf(budgets.reserve(wish()))).toMatchObject({
      retryAfterSeconds: 3600,
      metadata: { period: "month", resetTime: "2027-01-01T00:00:00.000Z" },
    });
    now = new Date("2027-01-01T00:00:00.000Z");
    expect(await budgets.reserve(wish())).toBeDefined();
  });
});

describe("what is granted", () => {
  beforeEach(() => {
    now = new Date();
  });

  test("is all that was asked for while the budget pays it, then what it pays, then nothing", async () => {
    const budgets = budgetsWith({ dailyMicros: 10_000 });
    const first = await budgets.reserve(wish(700));
    expect(first).toMatchObject({ maxOutputTokens: 700, isCut: false });
    const second = await budgets.reserve(wish(700));
    expect(second?.isCut).toBe(true);
    const third = await refusalOf(budgets.reserve(wish(700)));
    // Only reserved: it may be free again in a moment.
    expect(third).toMatchObject({ reason: "BUDGET_EXHAUSTED", retryAfterSeconds: 2 });
    const [row] = await database.sql<{ sum: string }>(
      "select sum(micros)::text from budget_reservations where user_id = ?",
      [userId],
    );
    expect(Number(row?.sum)).toBeLessThanOrEqual(10_000);
  });

  test("leaves some to others when nothing was asked for", async () => {
    const budgets = budgetsWith({ dailyMicros: 1_000_000 });
    const lengths: (number | undefined)[] = [];
    for (let index = 0; index < 20; index += 1) {
      lengths.push((await budgets.reserve(wish()))?.maxOutputTokens);
    }
    expect(Math.max(...lengths.map(Number))).toBeLessThanOrEqual(100_000 / 16);
    expect(Math.min(...lengths.map(Number))).toBeGreaterThanOrEqual(4_096);
  });

  test("by two hundred at once is never more than there is, to the micro", async () => {
    const budgets = budgetsWith({ dailyMicros: 50_000 });
    const attempts = await Promise.allSettled(
      Array.from({ length: 200 }, () => budgets.reserve(wish(50))),
    );
    const granted = attempts.filter(({ status }) => status === "fulfilled").length;
    // 50 tokens are 500 micros, the input is 101 at most, and few tokens are spare.
    expect(granted).toBeGreaterThan(60);
    const [row] = await database.sql<{ sum: string; count: number }>(
      "select sum(micros)::text as sum, count(*)::int as count from budget_reservations where user_id = ?",
      [userId],
    );
    expect(row?.count).toBe(granted);
    expect(Number(row?.sum)).toBeLessThanOrEqual(50_000);
  });

  test("needs no budget at all for what is free", async () => {
    const free = {
      ...price,
      inputMicros: 0n,
      cachedInputMicros: 0n,
      cacheWriteMicros: 0n,
      outputMicros: 0n,
    };
    const budgets = budgetsWith({ dailyMicros: 0 });
    const freeWish = { ...wish(), choice: { ...choice, price: free } };
    expect(await budgets.reserve(freeWish)).toBeUndefined();
    expect(await refusalOf(budgets.reserve(wish()))).toBeInstanceOf(DomainError);
  });

  test("of a budget of one's own is not what the default says", async () => {
    await repository.set(
      { kind: "user", userId },
      { dailyMicros: 100_000n, monthlyMicros: undefined },
      createTrail("usage.budget.set"),
    );
    expect(await budgetsWith({ dailyMicros: 0 }).reserve(wish(100))).toMatchObject({
      isCut: false,
    });
  });
});

test("a reservation stops the run before the piece that it does not pay for", async () => {
  now = new Date();
  const budgets = budgetsWith({ dailyMicros: 2_000 });
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.string({ maxLength: 30 }), fc.constantFrom(" word", "é", "😀"))),
      async (pieces) => {
        const { runId, ...rest } = wish(100);
        const reservation = await budgets.reserve({ runId, ...rest });
        const [row] = await database.sql<{ micros: number }>(
          "delete from budget_reservations where run_id = ? returning micros::int",
          [runId],
        );
        const taken = pieces.filter((text) => reservation?.take({ type: "text", text }));
        const most = 101 + (reservation?.outputTokens() ?? 0) * 10;
        expect(most).toBeLessThanOrEqual(row?.micros ?? 0);
        expect(taken.filter((text) => text !== "").length).toBeLessThanOrEqual(
          reservation?.outputTokens() ?? 0,
        );
      },
    ),
    { numRuns: 50 },
  );
});

test("a dead process's reservation ends with its run, which costs no more than that", async () => {
  now = new Date();
  const { postgres } = database;
  const turns = createTurnRepository(postgres);
  const runRepository = createRunRepository(postgres);
  const budgets = budgetsWith({ dailyMicros: 50_000 });
  // A branch that is far longer than what was sent of it.
  const asked = opening(userId, { model: "gpt-4.1", tokens: 1_000_000 });
  expect(await turns.open(asked)).not.toHaveProperty("refused");
  expect(await budgets.reserve({ ...wish(100), runId: asked.runId })).toBeDefined();
  const before = await repository.state({ kind: "user", userId }, Date.now());
  expect(before.reservedMicros).toBeGreaterThan(1_000n);
  await database.sql("update runs set start_time = now() - interval '1 hour' where id = ?", [
    asked.runId,
  ]);
  const sweeper = createSweeper({
    runs: createRuns(),
    runRepository,
    turnRepository: turns,
    models: createModels({
      providers: [{ ...createDemoProvider(), name: "openai" }],
      catalog: BUILT_IN_CATALOG,
    }),
    log: undefined,
    logger: createLogger({ level: "silent" }),
    leaseMs: 100,
  });
  try {
    await vi.waitFor(
      async () => {
        const after = await repository.state({ kind: "user", userId }, Date.now());
        expect(after.reservedMicros).toBe(0n);
        expect(after.spentTodayMicros).toBeGreaterThan(0n);
        expect(after.spentTodayMicros).toBeLessThanOrEqual(before.reservedMicros);
      },
      { timeout: 20_000 },
    );
  } finally {
    sweeper.stop();
  }
});

test("what is left of a run whose conversation was deleted and whose process died goes by itself", async () => {
  now = new Date();
  const turns = createTurnRepository(database.postgres);
  const budgets = budgetsWith({ dailyMicros: 50_000 });
  const asked = opening(userId);
  const opened = await turns.open(asked);
  if ("refused" in opened) throw new Error(opened.refused);
  await budgets.reserve({ ...wish(100), runId: asked.runId });
  const orphan = wish(100);
  await budgets.reserve(orphan);
  await database.sql(
    "update budget_reservations set create_time = now() - interval '2 hours' where user_id = ?",
    [userId],
  );
  await repository.releaseOrphans();
  const left = () =>
    database.sql<{ run_id: string }>("select run_id from budget_reservations where user_id = ?", [
      userId,
    ]);
  expect(await left()).toEqual([{ run_id: asked.runId }]);
  // Settling once or twice, and taking back, leave none.
  await turns.settle(settlement(asked, opened, { isReserved: true }));
  expect(await left()).toEqual([]);
});
