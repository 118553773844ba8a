/** The log of a whole service: one line a call, and how much each module says. */
import { create } from "@bufbuild/protobuf";
import { Metadata } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Health, HealthCheckRequestSchema } from "../../gen/grpc/health/v1/health_pb.js";
import { logLevelsSetting } from "../../src/telemetry/log-levels.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { eventually } from "../support/eventually.ts";
import { createGrpcClient } from "../support/grpc-client.ts";
import { startOtlpSink, type OtlpSink } from "../support/otlp-sink.ts";
import { newTrace, traceparent, turnDoors } from "../support/turn-doors.ts";

const streamed = expect.any(Number) as number;
const uuid = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

let sink: OtlpSink;
let app: TestApp;
/** A user's own key, and what the log calls it. */
let key: { secret: string; apiKeyId: string; userId: string };
beforeAll(async () => {
  sink = await startOtlpSink();
  app = await startApp(
    { OTEL_EXPORTER_OTLP_ENDPOINT: sink.url, OTEL_TRACES_SAMPLER_ARG: "0" },
    { answerCache: true },
  );
  const response = await fetch(`${app.baseUrl}/api/v1/api-keys`, {
    method: "POST",
    headers: { authorization: `Bearer ${app.key}`, "content-type": "application/json" },
    body: JSON.stringify({ name: "mine" }),
  });
  const { apiKey, secret } = (await response.json()) as {
    apiKey: { apiKeyId: string; userId: string };
    secret: string;
  };
  key = { secret, apiKeyId: apiKey.apiKeyId, userId: apiKey.userId };
});
afterAll(async () => {
  await app?.close();
  await sink?.close();
});

const question = "the secret of the tests";
const send = (requestId: string) =>
  turnDoors.REST.ask(app, question, {
    authorization: `Bearer ${key.secret}`,
    "x-request-id": requestId,
  });
const linesOf = (requestId: string) => app.log.filter((line) => line["requestId"] === requestId);
const callLine = (requestId: string) =>
  eventually(() => {
    const lines = linesOf(requestId).filter(({ msg }) => msg === "call");
    expect(lines).toHaveLength(1);
    return lines[0]!;
  });

async function setLevels(levels: object | null): Promise<number> {
  const response = await fetch(`${app.baseUrl}/api/v1/settings`, {
    method: "PATCH",
    headers: { authorization: `Bearer ${app.key}`, "content-type": "application/json" },
    body: JSON.stringify({ values: { logLevels: levels } }),
  });
  return response.status;
}

test.each(Object.entries(turnDoors))(
  "%s has one line, with all that is known of it and nothing that was said",
  async (name, { door, method, ask }) => {
    const ids = newTrace();
    const requestId = `request-of-${name.replaceAll(" ", "-")}`;
    const headers = {
      authorization: `Bearer ${key.secret}`,
      "x-request-id": requestId,
      traceparent: traceparent(ids),
    };
    await ask(app, `${question}, ${name}`, headers);
    expect(await callLine(requestId)).toEqual({
      level: "info",
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
      module: "calls",
      msg: "call",
      door,
      rpc: `tribe.v1.ChatService/${method}`,
      code: "OK",
      durationMs: expect.any(Number) as number,
      requestId,
      traceId: ids.traceId,
      userId: key.userId,
      apiKeyId: key.apiKeyId,
      conversationId: expect.stringMatching(uuid) as string,
      runId: expect.stringMatching(uuid) as string,
      model: "demo",
      provider: "demo",
      inputTokens: expect.any(Number) as number,
      outputTokens: expect.any(Number) as number,
      costMicros: expect.any(Number) as number,
      cached: false,
      ...(method === "StreamMessage" && { messages: streamed }),
    });
    const again = `${requestId}-again`;
    await ask(app, `${question}, ${name}`, { ...headers, "x-request-id": again });
    expect(await callLine(again)).toMatchObject({ door, cached: true, costMicros: 0 });
  },
);

test.each(Object.entries(turnDoors))(
  "%s that is refused has one line, which says how, and no secret",
  async (name, { door, method, ask }) => {
    const requestId = `refused-${name.replaceAll(" ", "-")}`;
    const headers = { authorization: "Bearer tribe_nobodys-key", "x-request-id": requestId };
    await expect(ask(app, question, headers)).rejects.toThrow(/401|unauthenticated/);
    expect(await callLine(requestId)).toMatchObject({
      level: "info",
      door,
      rpc: `tribe.v1.ChatService/${method}`,
      code: "UNAUTHENTICATED",
      durationMs: expect.any(Number) as number,
    });
  },
);

test("probes that went well are told at the level debug only, and those that did not as ever", async () => {
  const client = createGrpcClient(Health, app.grpcAddress);
  const check = (id: string, service: string) =>
    new Promise<unknown>((resolve) => {
      const metadata = new Metadata();
      metadata.set("x-request-id", id);
      client["Check"]!(create(HealthCheckRequestSchema, { service }), metadata, resolve);
    });
  const probe = async (name: string) => {
    for (const path of ["health", "health/live", "health/ready"])
      await fetch(`${app.baseUrl}/${path}`, { headers: { "x-request-id": name } });
    await check(name, "");
  };
  const detailed = (name: string) =>
    fetch(`${app.baseUrl}/health/detailed`, {
      headers: { authorization: `Bearer ${app.key}`, "x-request-id": name },
    });

  await probe("quiet-probes");
  await check("failed-probe", "no.such.Service");
  await detailed("operator-looks");
  expect(await callLine("failed-probe")).toMatchObject({ level: "info", code: "NOT_FOUND" });
  expect(await callLine("operator-looks")).toMatchObject({ level: "info", code: "OK" });
  expect(linesOf("quiet-probes")).toEqual([]);

  expect(await setLevels({ calls: "debug" })).toBe(200);
  await eventually(async () => {
    await probe("told-probes");
    expect(linesOf("told-probes").map(({ level, rpc }) => [level, rpc])).toEqual(
      expect.arrayContaining([
        ["debug", "tribe.v1.HealthService/Check"],
        ["debug", "tribe.v1.HealthService/Live"],
        ["debug", "tribe.v1.HealthService/Ready"],
        ["debug", "grpc.health.v1.Health/Check"],
      ]),
    );
  });
  expect(await setLevels(null)).toBe(200);
  client.close();
});

test("nothing that was said and no secret is in any line", () => {
  const written = JSON.stringify(app.log);
  expect(written.match(/"msg":"call"/g)?.length).toBeGreaterThan(20);
  for (const secret of [question, app.key, key.secret, "tribe_nobodys-key"]) {
    expect(written).not.toContain(secret);
  }
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
