/** The log of a whole service: one line a call, and how much each module says. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { logLevelsSetting } from "../../src/telemetry/log-levels.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { eventually } from "../support/eventually.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app?.close());

async function send(requestId: string): Promise<void> {
  const response = await fetch(`${app.baseUrl}/api/v1/chat`, {
    method: "POST",
    headers: {
      authorization: `Bearer ${app.key}`,
      "content-type": "application/json",
      "x-request-id": requestId,
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    },
    body: JSON.stringify({ content: [{ text: "the secret of the tests" }] }),
  });
  expect(response.status).toBe(200);
}
const linesOf = (requestId: string) => app.log.filter((line) => line["requestId"] === requestId);

async function setLevels(levels: object | null): Promise<number> {
  const response = await fetch(`${app.baseUrl}/api/v1/settings`, {
    method: "PATCH",
    headers: { authorization: `Bearer ${app.key}`, "content-type": "application/json" },
    body: JSON.stringify({ values: { logLevels: levels } }),
  });
  return response.status;
}

test("a call has one line, with all that is known of it and nothing that was said", async () => {
  await send("first-call");
  await eventually(() => expect(linesOf("first-call")).toHaveLength(1));
  const [line] = linesOf("first-call");
  expect(line).toMatchObject({
    level: "info",
    module: "calls",
    door: "rest",
    rpc: "tribe.v1.ChatService/SendMessage",
    code: "OK",
    durationMs: expect.any(Number) as number,
    requestId: "first-call",
    userId: expect.any(String) as string,
    conversationId: expect.any(String) as string,
    runId: expect.any(String) as string,
    model: "demo",
    provider: "demo",
    inputTokens: expect.any(Number) as number,
    outputTokens: expect.any(Number) as number,
    costMicros: expect.any(Number) as number,
    cached: false,
  });
  expect(JSON.stringify(app.log)).not.toContain("the secret of the tests");
  expect(JSON.stringify(app.log)).not.toContain(app.key);
});

test("a module logs more, and less, without a restart", async () => {
  const ofChat = () =>
    app.log.filter(({ module, level }) => module === "chat" && level === "debug");
  expect(ofChat()).toEqual([]);
  expect(await setLevels({ chat: "debug", calls: "silent" })).toBe(200);
  await eventually(async () => {
    await send("while-debugging");
    expect(ofChat().length).toBeGreaterThan(0);
  });
  expect(await setLevels(null)).toBe(200);
  await eventually(async () => {
    const before = ofChat().length;
    await send("after-debugging");
    expect(linesOf("after-debugging").length).toBeGreaterThan(0);
    expect(ofChat()).toHaveLength(before);
  });
});

test.each([
  [[], "must be an object of levels by module"],
  ["debug", "must be an object of levels by module"],
  [{ billing: "debug" }, 'knows no module "billing"; there are app, access, calls'],
  [{ chat: "loud" }, "must have for chat one of trace, debug, info"],
])("levels %j are refused", (value, words) => {
  const wrong = (description: string): never => {
    throw new Error(description);
  };
  expect(() => logLevelsSetting.parse(value, wrong)).toThrow(words);
});
