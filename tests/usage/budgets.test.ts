/** Budgets over two real processes that share a database, a Redis and a provider. */
import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CacheMode } from "../../gen/tribe/v1/chat_pb.js";
import { FinishReason } from "../../gen/tribe/v1/message_pb.js";
import { QuotaFailureSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { type Clients, clientsOf, createUserWithKey, failureOf } from "../identity/clients.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { startProgram, type TestProgram } from "../support/program.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

/** Micros of a token of gpt-4.1. */
const inputMicros = 2;
const outputMicros = 8;
/** What Tribe counts for "Hello" at most, in tokens. */
const mostInput = 101;
/** With less left than this a call is refused. */
const leastCost = mostInput * inputMicros + 16 * outputMicros;
const model = "gpt-4.1";
const content = [{ part: { case: "text" as const, value: "Hello" } }];
const key = "administrator-of-the-tests";

let provider: ProviderServer;
let endless: ProviderServer;
let redis: TestRedis;
let database: TestDatabase;
let programs: TestProgram[];
let administrator: Clients;
beforeAll(async () => {
  const words = Array.from({ length: 60 }, () => " word");
  provider = await startProviderServer({ keepsLimits: true, reply: { text: words } });
  endless = await startProviderServer({
    reply: { text: Array.from({ length: 20 }, () => words).flat() },
  });
  redis = await startRedis();
  database = await createDatabase();
  const environment = {
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    ADMIN_API_KEY: key,
    OPENAI_API_KEY: "sk-test",
    LOG_LEVEL: "warn",
  };
  programs = await Promise.all([
    startProgram({ ...environment, OPENAI_BASE_URL: provider.openaiUrl }),
    startProgram({ ...environment, OPENAI_BASE_URL: provider.openaiUrl }),
    startProgram({ ...environment, OPENAI_BASE_URL: endless.openaiUrl }),
  ]);
  administrator = clientsOf(programs[0]?.baseUrl ?? "", key);
  // Only budgets are to refuse anything here.
  const unlimited = { requests: null, tokens: null, concurrentRuns: null };
  const limits = { roles: { user: unlimited, admin: unlimited } };
  await administrator.admin.updateSettings({ settings: { values: { limits } } });
}, 180_000);
afterAll(async () => {
  await Promise.all(programs?.map((program) => program.close()) ?? []);
  await database?.close();
  await redis?.stop();
  await provider?.close();
  await endless?.close();
});

/** A user with a client at each process. */
async function createSpender() {
  const user = await createUserWithKey(administrator, programs[0]?.baseUrl ?? "");
  return { ...user, at: programs.map(({ baseUrl }) => clientsOf(baseUrl, user.key)) };
}
type Spender = Awaited<ReturnType<typeof createSpender>>;

/** How a stream ended: its finish reason, or the error. */
async function stream(clients: Clients | undefined, maxOutputTokens?: number) {
  const cache = CacheMode.BYPASS;
  const request = {
    content,
    model,
    cache,
    ...(maxOutputTokens !== undefined && { maxOutputTokens }),
  };
  let text = "";
  try {
    for await (const { event } of clients!.chat.streamMessage(request)) {
      if (event.case === "textDelta") text += event.value.text;
      if (event.case === "failed") return { error: event.value.reason, text };
      if (event.case === "completed") {
        const { assistantMessage } = event.value.response ?? {};
        return { finishReason: assistantMessage?.finishReason, text, message: assistantMessage };
      }
    }
  } catch (error) {
    if (!(error instanceof ConnectError)) throw error;
    // So many at once may be too many for a machine that has more to do.
    if (error.code === Code.Unavailable) return { isBusy: true, text };
    if (error.code !== Code.ResourceExhausted) throw error;
    const [retry] = error.findDetails(RetryInfoSchema);
    return { refused: Number(retry?.retryDelay?.seconds ?? 0), text };
  }
  return { error: "no end", text };
}

/** Sets it once both processes have learned that there is one: they do within a second. */
async function limit(
  spender: Spender,
  whose: { userId?: string; apiKeyId?: string },
  budget: Limits,
) {
  await administrator.usage.setBudget({ ...whose, budget: { dailyMicros: 0n } });
  await eventually(async () => {
    for (const clients of spender.at) expect(await stream(clients, 1)).toHaveProperty("refused");
  });
  await administrator.usage.setBudget({ ...whose, budget });
}
type Limits = { dailyMicros?: bigint; monthlyMicros?: bigint };

async function spent(where: string, value?: string): Promise<number> {
  const [row] = await database.sql<{ sum: string }>(
    `select coalesce(sum(cost_micros), 0)::text as sum from usage where ${where}`,
    value === undefined ? [] : [value],
  );
  return Number(row?.sum);
}
async function reserved(userId: string) {
  return database.sql("select * from budget_reservations where user_id = ?", [userId]);
}

describe("200 streams at once against one budget", () => {
  const dailyMicros = 20_000n;
  let spender: Spender;
  beforeAll(async () => {
    spender = await createSpender();
    await limit(spender, { userId: spender.userId }, { dailyMicros });
  });

  test("of two processes, with Redis restarting, never spend more, and most of it at once", async () => {
    const wave = Array.from({ length: 200 }, (_, index) => stream(spender.at[index % 2], 60));
    redis.kill("SIGKILL");
    await redis.start();
    const ends = await Promise.all(wave);
    const used = await spent("user_id = ?", spender.userId);
    expect(used).toBeLessThanOrEqual(Number(dailyMicros));
    // What a reservation holds back for the input until the end is all that the others missed.
    expect(used).toBeGreaterThan(Number(dailyMicros) / 2);
    expect(ends.filter(({ error }) => error)).toEqual([]);
    expect(ends.filter(({ isBusy }) => isBusy).length).toBeLessThan(100);
    expect(ends.filter(({ finishReason }) => finishReason !== undefined).length).toBeGreaterThan(
      20,
    );
    expect(await reserved(spender.userId)).toEqual([]);
  });

  test("and whoever tries again gets the rest of it, to what no useful answer costs", async () => {
    let refusal;
    for (let tries = 0; tries < 60 && refusal === undefined; tries += 1) {
      refusal = (await stream(spender.at[tries % 2], 60)).refused;
    }
    const used = await spent("user_id = ?", spender.userId);
    expect(used).toBeLessThanOrEqual(Number(dailyMicros));
    expect(used).toBeGreaterThan(Number(dailyMicros) - leastCost);
    // Now only tomorrow helps.
    expect(refusal).toBeGreaterThan(2);
    expect(refusal).toBeLessThanOrEqual(24 * 3600);
    // What was billed is what the provider counted, token by token.
    const billed = provider.requests.reduce(
      (sum, { billed }) =>
        sum +
        (billed?.freshInputTokens ?? 0) * inputMicros +
        (billed?.outputTokens ?? 0) * outputMicros,
      0,
    );
    expect(used).toBe(billed);
  });

  test("and the refusal says whose budget it is, how it stands and when it begins anew", async () => {
    const failure = await spender.chat
      .sendMessage({ content, model })
      .catch((error: unknown) => error);
    const error = failure as ConnectError;
    expect(await failureOf(Promise.reject(error))).toMatch(
      new RegExp(
        `^RESOURCE_EXHAUSTED BUDGET_EXHAUSTED: the budget of user:${spender.userId} for the day does not pay for this call; it begins anew at 20..-..-..T00:00:00.000Z$`,
      ),
    );
    const [violation] = error.findDetails(QuotaFailureSchema)[0]?.violations ?? [];
    expect(violation?.subject).toBe(`user:${spender.userId}`);
    expect(violation?.description).toMatch(
      /\$0\.01\d{4} of \$0\.020000 spent, \$0\.000000 reserved/,
    );
    const { budget, spentTodayMicros, spentThisMonthMicros, reservedMicros } =
      await spender.usage.getBudget({ userId: spender.userId });
    const used = BigInt(await spent("user_id = ?", spender.userId));
    expect({ budget, spentTodayMicros, spentThisMonthMicros, reservedMicros }).toMatchObject({
      budget: { dailyMicros },
      spentTodayMicros: used,
      spentThisMonthMicros: used,
      reservedMicros: 0n,
    });
    // Nothing of what was refused is left.
    const left = await database.sql("select 1 from runs where user_id = ? and state = 'running'", [
      spender.userId,
    ]);
    expect(left).toEqual([]);
  });

  test("and a budget that is raised at one process pays at the other within a second", async () => {
    await administrator.usage.setBudget({
      userId: spender.userId,
      budget: { dailyMicros: 1_000_000n },
    });
    expect(await stream(spender.at[1], 60)).toMatchObject({ finishReason: FinishReason.STOP });
    await administrator.usage.setBudget({ userId: spender.userId, budget: { monthlyMicros: 1n } });
    expect(await stream(spender.at[1], 60)).toHaveProperty("refused");
    await administrator.usage.setBudget({ userId: spender.userId, budget: {} });
    expect(await stream(spender.at[1], 60)).toMatchObject({ finishReason: FinishReason.STOP });
  });
});

test("a provider that ignores its limit is stopped where the budget ends, and the answer is kept", async () => {
  const spender = await createSpender();
  const dailyMicros = 30_000n;
  await limit(spender, { userId: spender.userId }, { dailyMicros });
  const ends = await Promise.all(Array.from({ length: 100 }, () => stream(spender.at[2], 400)));
  const stopped = ends.filter(({ finishReason }) => finishReason === FinishReason.BUDGET);
  expect(stopped.length).toBeGreaterThan(4);
  const used = await spent("user_id = ?", spender.userId);
  expect(used).toBeLessThanOrEqual(Number(dailyMicros));
  expect(used).toBeGreaterThan(Number(dailyMicros) / 2);
  const [first] = stopped;
  expect(first?.text.length).toBeGreaterThan(0);
  expect(first?.message?.content[0]?.part).toEqual({ case: "text", value: first?.text });
  const [row] = await database.sql<{ estimated: boolean; output: number }>(
    "select estimated, output_tokens::int as output from usage where run_id = ?",
    [first?.message?.runId],
  );
  expect(row).toEqual({ estimated: true, output: (first?.text.length ?? 0) / " word".length });
  expect(await reserved(spender.userId)).toEqual([]);
});

test("many users, their keys and everybody at once: every budget holds", async () => {
  const spenders = await Promise.all(Array.from({ length: 6 }, createSpender));
  const limits = [2_000n, 4_000n, 6_000n, 8_000n, 10_000n, 12_000n];
  await Promise.all(
    spenders.map(async (spender, index) => {
      const { userId, apiKeyId } = spender;
      await limit(spender, { userId }, { monthlyMicros: limits[index]! });
      await administrator.usage.setBudget({ apiKeyId, budget: { dailyMicros: 5_000n } });
    }),
  );
  const everyone = { dailyMicros: BigInt(await spent("true")) + 12_000n };
  await limit(await createSpender(), {}, everyone);
  await Promise.all(
    Array.from({ length: 180 }, (_, index) => stream(spenders[index % 6]!.at[index % 2], 40)),
  );
  const used = await Promise.all(spenders.map(({ userId }) => spent("user_id = ?", userId)));
  for (const [index, micros] of used.entries()) {
    expect(micros).toBeLessThanOrEqual(Math.min(Number(limits[index]), 5_000));
    expect(micros).toBeGreaterThan(0);
  }
  expect(await spent("true")).toBeLessThanOrEqual(Number(everyone.dailyMicros));
  const { budget, reservedMicros } = await administrator.usage.getBudget({});
  expect(budget).toMatchObject(everyone);
  expect(reservedMicros).toBe(0n);
  await administrator.usage.setBudget({ budget: {} });
});

test("defaults by setting hold for whoever has no budget of their own", async () => {
  const [one, other] = [await createSpender(), await createSpender()];
  await administrator.usage.setBudget({ userId: other.userId, budget: {} });
  const set = (values: Record<string, unknown>) =>
    administrator.admin.updateSettings({ settings: { values: values as never } });
  await set({ defaultUserBudget: { dailyMicros: 100 } });
  try {
    expect(await stream(one.at[0], 60)).toHaveProperty("refused");
    expect(await stream(other.at[0], 60)).toMatchObject({ finishReason: FinishReason.STOP });
    const state = await one.usage.getBudget({ userId: one.userId });
    expect(state).toMatchObject({ default: true, budget: { dailyMicros: 100n } });
    expect((await one.usage.getBudget({ apiKeyId: one.apiKeyId })).budget).not.toHaveProperty(
      "dailyMicros",
      100n,
    );
    const unpriced = () => one.chat.sendMessage({ content, model: "openai/unheard-of" });
    expect(await failureOf(unpriced())).toMatch(
      /^FAILED_PRECONDITION MODEL_PRICE_UNKNOWN: the price of model openai\/unheard-of is not known/,
    );
    await set({ budgetsAllowUnpricedModels: true });
    expect((await unpriced()).costMicros).toBeUndefined();
  } finally {
    await set({ defaultUserBudget: null, budgetsAllowUnpricedModels: null });
  }
});

test("the successor of a rotated key has its predecessor's budget, at every process", async () => {
  const spender = await createSpender();
  const { apiKeyId } = spender;
  const budget = { dailyMicros: 1n };
  await administrator.usage.setBudget({ apiKeyId, budget });
  const { apiKey, secret } = await spender.identity.rotateApiKey({ apiKeyId });
  const state = await spender.usage.getBudget({ apiKeyId: apiKey?.apiKeyId ?? "" });
  expect(state).toMatchObject({ default: false, budget });
  await eventually(async () => {
    for (const { baseUrl } of programs)
      expect(await stream(clientsOf(baseUrl, secret))).toHaveProperty("refused");
  });
});

test("who looks at others' budgets is seen, who looks at their own is not", async () => {
  const spender = await createSpender();
  await administrator.usage.getBudget({ userId: spender.userId });
  await spender.usage.getBudget({ userId: spender.userId });
  await spender.usage.getBudget({ apiKeyId: spender.apiKeyId });
  const list = { action: "usage.budget.get", pageSize: 100 };
  const { auditEvents } = await administrator.admin.listAuditEvents(list);
  const looks = auditEvents.filter(({ resource }) => resource === `budget/user:${spender.userId}`);
  expect(looks).toMatchObject([{ userId: expect.not.stringContaining(spender.userId) }]);
  const own = await administrator.admin.listAuditEvents({ ...list, userId: spender.userId });
  expect(own.auditEvents).toEqual([]);

  const other = await createSpender();
  await failureOf(spender.usage.getBudget({ apiKeyId: other.apiKeyId }));
  const refused = await administrator.admin.listAuditEvents({ ...list, userId: spender.userId });
  expect(refused.auditEvents).toMatchObject([
    { resource: `budget/key:${other.apiKeyId}`, outcome: "NOT_FOUND" },
  ]);
});

test("others' budgets are nobody's business", async () => {
  const [one, other] = [await createSpender(), await createSpender()];
  const { usage } = one;
  expect(await failureOf(usage.getBudget({ userId: other.userId }))).toMatch(
    /^NOT_FOUND NOT_FOUND/,
  );
  expect(await failureOf(usage.getBudget({ apiKeyId: other.apiKeyId }))).toMatch(
    /^NOT_FOUND NOT_FOUND/,
  );
  expect(await failureOf(usage.getBudget({}))).toMatch(/^PERMISSION_DENIED PERMISSION_DENIED/);
  expect(await failureOf(usage.setBudget({ userId: one.userId, budget: {} }))).toMatch(
    /^PERMISSION_DENIED/,
  );
  const nobody = "01234567-0123-7123-8123-0123456789ab";
  expect(await failureOf(administrator.usage.setBudget({ userId: nobody, budget: {} }))).toMatch(
    /^NOT_FOUND NOT_FOUND: user/,
  );
  expect(await failureOf(administrator.usage.getBudget({ apiKeyId: nobody }))).toMatch(
    /^NOT_FOUND NOT_FOUND: API key/,
  );
});
