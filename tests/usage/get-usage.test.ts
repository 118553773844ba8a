import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { afterAll, beforeAll, expect, test } from "vitest";
import { UsageGroup, type UsageRow } from "../../gen/tribe/v1/usage_pb.js";
import { type Clients, clientsOf, createUserWithKey, failureOf } from "../identity/clients.ts";
import { startApp, type TestApp } from "../support/app.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";

let provider: ProviderServer;
let app: TestApp;
let administrator: Clients;
type User = Awaited<ReturnType<typeof createUserWithKey>>;
let ada: User;
let bob: User;
beforeAll(async () => {
  provider = await startProviderServer();
  app = await startApp({
    OPENAI_API_KEY: "sk-test",
    OPENAI_BASE_URL: provider.openaiUrl,
    DEFAULT_MODEL: "gpt-4.1",
  });
  administrator = clientsOf(app.baseUrl, app.key);
  ada = await createUserWithKey(administrator, app.baseUrl);
  bob = await createUserWithKey(administrator, app.baseUrl);
});
afterAll(async () => {
  await app?.close();
  await provider?.close();
});

const content = [{ part: { case: "text" as const, value: "Hello" } }];
const { DAY, MODEL, USER, API_KEY } = UsageGroup;

/** What was billed, added up as a client would. */
async function ask(user: User, model: string, times: number) {
  let cost = 0n;
  let output = 0n;
  for (let index = 0; index < times; index += 1) {
    const { costMicros, usage } = await user.chat.sendMessage({ content, model });
    cost += costMicros ?? 0n;
    output += usage?.outputTokens ?? 0n;
  }
  return { runs: BigInt(times), costMicros: cost, output };
}
function figures({ runs, costMicros, usage }: UsageRow) {
  return { runs, costMicros, output: usage?.outputTokens };
}

test("usage is one's own, or everybody's for whoever may read that, and agrees with the answers", async () => {
  const own = {
    adaSmall: await ask(ada, "gpt-4.1-mini", 2),
    adaLarge: await ask(ada, "gpt-4.1", 1),
    bob: await ask(bob, "gpt-4.1-mini", 3),
    unpriced: await ask(bob, "openai/some-model", 1),
  };
  const adas = await ada.usage.getUsage({ groupBy: [MODEL] });
  expect(adas.rows.map((row) => [row.model, figures(row)])).toEqual([
    ["gpt-4.1", own.adaLarge],
    ["gpt-4.1-mini", own.adaSmall],
  ]);
  expect(adas.rows[0]).toMatchObject({ day: "", provider: "", userId: "", apiKeyId: "" });

  const today = new Date().toISOString().slice(0, 10);
  const all = await administrator.usage.getUsage({ groupBy: [USER, DAY, API_KEY] });
  expect(all.rows.map(({ userId, apiKeyId, day }) => [userId, apiKeyId, day])).toEqual([
    [ada.userId, ada.apiKeyId, today],
    [bob.userId, bob.apiKeyId, today],
  ]);
  expect(all.rows[1]).toMatchObject({ runs: 4n, runsWithoutPrice: 1n, runsEstimated: 0n });
  expect(all.rows[1]?.costMicros).toBe(own.bob.costMicros);
  const named = await administrator.usage.getUsage({ userId: ada.userId });
  expect(named.rows.map(({ runs }) => runs)).toEqual([3n]);

  expect(await failureOf(ada.usage.getUsage({ userId: bob.userId }))).toMatch(
    /^NOT_FOUND NOT_FOUND: user .* does not exist$/,
  );
});

test("a range counts from its start on and without its end", async () => {
  const [row] = await app.database.sql<{ time: string }>(
    "select (extract(epoch from max(create_time)) * 1000)::bigint::text as time from usage",
  );
  const last = Number(row?.time);
  const runs = async (start: number, end: number) => {
    const range = { startTime: timestampFromMs(start), endTime: timestampFromMs(end) };
    return Number((await administrator.usage.getUsage(range)).rows[0]?.runs);
  };
  const everything = await runs(last - 3_600_000, last + 3_600_000);
  expect(await runs(last, last + 1)).toBeGreaterThan(0);
  expect((await runs(last - 3_600_000, last)) + (await runs(last, last + 3_600_000))).toBe(
    everything,
  );
  expect(await runs(0, 1000)).toBe(0);
  const backwards = { startTime: timestampFromMs(last), endTime: timestampFromMs(last) };
  expect(await failureOf(administrator.usage.getUsage(backwards))).toBe(
    "INVALID_ARGUMENT INVALID_FIELD: endTime: must be after startTime",
  );
});

test("pages put together are the whole, and a token is good for its own request only", async () => {
  const groupBy = [MODEL, USER];
  const whole = await administrator.usage.getUsage({ groupBy });
  const rows: UsageRow[] = [];
  let pageToken = "";
  do {
    const page = await administrator.usage.getUsage({ groupBy, pageSize: 1, pageToken });
    rows.push(...page.rows);
    pageToken = page.nextPageToken;
  } while (pageToken !== "");
  expect(rows).toEqual(whole.rows);
  expect(rows.length).toBeGreaterThan(2);

  const { nextPageToken } = await administrator.usage.getUsage({ groupBy, pageSize: 1 });
  for (const request of [
    { groupBy: [USER], pageToken: nextPageToken },
    { groupBy, pageToken: "nonsense" },
  ]) {
    expect(await failureOf(administrator.usage.getUsage(request))).toMatch(
      /^INVALID_ARGUMENT INVALID_FIELD: pageToken/,
    );
  }
});

test("a run that was cancelled is billed for what had arrived, and said to be an estimate", async () => {
  provider.script({ text: Array.from({ length: 12 }, (_, index) => `word${index} `), hang: 8 });
  const before = await bob.usage.getUsage({});
  let runId = "";
  let seen = 0;
  for await (const { event } of bob.chat.streamMessage({ content, model: "gpt-4.1" })) {
    if (event.case === "runStarted") runId = event.value.runId;
    if (event.case !== "textDelta") continue;
    seen += 1;
    if (seen === 5) await bob.chat.cancelRun({ runId });
  }
  const after = await bob.usage.getUsage({});
  expect(after.rows[0]?.runsEstimated).toBe(1n);
  expect(after.rows[0]?.runs).toBe((before.rows[0]?.runs ?? 0n) + 1n);
  const output = (rows: readonly UsageRow[]) => Number(rows[0]?.usage?.outputTokens);
  expect(output(after.rows) - output(before.rows)).toBeGreaterThanOrEqual(5);
});
