/** The traces of whole turns, through every door, as a collector gets them. */
import { expect, onTestFinished, test } from "vitest";
import { startApp, type TestApp } from "../support/app.ts";
import { startOtlpSink, type OtlpSink, type ReceivedSpan } from "../support/otlp-sink.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import {
  newTrace,
  traceparent,
  turnDoors,
  type TraceIds,
  type TurnDoor,
  type TurnHeaders,
} from "../support/turn-doors.ts";
import type { Environment } from "../../src/config.ts";

const secretQuestion = "the question that nobody may record";
const secretAnswer = "the answer that nobody may record";

interface Traced {
  app: TestApp;
  sink: OtlpSink;
  provider: ProviderServer;
  /** Ends the service, which sends all that it has. */
  finish(): Promise<void>;
}

async function startTraced(environment: Environment = {}): Promise<Traced> {
  const [sink, provider] = await Promise.all([
    startOtlpSink(),
    startProviderServer({ reply: { text: secretAnswer } }),
  ]);
  const app = await startApp({
    OPENAI_API_KEY: "sk-test",
    OPENAI_BASE_URL: provider.openaiUrl,
    OTEL_EXPORTER_OTLP_ENDPOINT: sink.url,
    OTEL_TRACES_SAMPLER_ARG: "0",
    ...environment,
  });
  let finished: Promise<void> | undefined;
  const finish = () => (finished ??= app.close());
  onTestFinished(async () => {
    await finish();
    await Promise.all([sink.close(), provider.close()]);
  });
  return { app, sink, provider, finish };
}

const grpc = (app: TestApp, headers: TurnHeaders) =>
  turnDoors.gRPC.ask(app, secretQuestion, headers);

const withKey = (app: TestApp, ids: TraceIds, flags = "01") => ({
  authorization: `Bearer ${app.key}`,
  traceparent: traceparent(ids, flags),
  tracestate: "vendor=7",
});

function only(spans: ReceivedSpan[], name: string): ReceivedSpan {
  const found = spans.filter((span) => span.name === name);
  expect(found.map((span) => span.name)).toEqual([name]);
  return found[0]!;
}

test("a turn through every door is one trace, from the caller to PostgreSQL, Redis and the provider", async () => {
  const { app, sink, provider, finish } = await startTraced();
  const traces = new Map<TurnDoor, TraceIds>();
  for (const turnDoor of Object.values(turnDoors)) {
    const ids = newTrace();
    traces.set(turnDoor, ids);
    await turnDoor.ask(app, secretQuestion, withKey(app, ids));
  }
  await finish();

  for (const [{ door, method }, ids] of traces) {
    const spans = sink.trace(ids.traceId);
    const call = only(spans, `tribe.v1.ChatService/${method}`);
    expect(call).toMatchObject({
      kind: 2,
      parentSpanId: ids.spanId,
      attributes: {
        "rpc.method": `tribe.v1.ChatService/${method}`,
        "rpc.response.status_code": "OK",
        "tribe.door": door,
      },
    });
    const turn = only(spans, "chat turn");
    expect(turn.parentSpanId).toBe(call.spanId);
    const [attempt] = spans.filter((span) => span.name.startsWith("chat ") && span !== turn);
    expect(attempt).toMatchObject({
      kind: 3,
      parentSpanId: turn.spanId,
      attributes: {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.response.finish_reasons": ["stop"],
      },
    });
    expect(attempt?.attributes["gen_ai.usage.output_tokens"]).toBeGreaterThan(0);
    const engines = spans.filter((span) => "db.system.name" in span.attributes);
    const parents = (system: string) =>
      new Set(
        engines
          .filter(({ attributes }) => attributes["db.system.name"] === system)
          .map(({ parentSpanId }) => parentSpanId),
      );
    // The turn is opened by the call and settled by the turn.
    expect(parents("postgresql")).toEqual(new Set([call.spanId, turn.spanId]));
    expect(parents("redis")).toContain(call.spanId);
    const line = app.log.find((entry) => entry["traceId"] === ids.traceId);
    expect(line).toMatchObject({ msg: "call", door, code: "OK" });
  }
  expect(sink.spans[0]?.resource).toMatchObject({ "service.name": "tribe" });
  for (const { path } of sink.requests) expect(path).toBe("/v1/traces");
  expect(sink.raw()).not.toContain("nobody may record");
  for (const { headers } of provider.requests) expect(headers).not.toHaveProperty("traceparent");
}, 60_000);

test("what the caller does not sample is not recorded, and its line still names the trace", async () => {
  const { app, sink, finish } = await startTraced({ OTEL_TRACES_SAMPLER_ARG: "1" });
  const ids = newTrace();
  await grpc(app, withKey(app, ids, "00"));
  await finish();
  expect(sink.trace(ids.traceId)).toEqual([]);
  expect(app.log).toContainEqual(expect.objectContaining({ msg: "call", traceId: ids.traceId }));
});

test("a trace that begins here is recorded by the ratio", async () => {
  const never = await startTraced();
  const always = await startTraced({ OTEL_TRACES_SAMPLER_ARG: "1" });
  for (const { app } of [never, always]) await grpc(app, { authorization: `Bearer ${app.key}` });
  await Promise.all([never.finish(), always.finish()]);
  expect(never.sink.requests).toEqual([]);
  expect(never.app.log.filter((entry) => "traceId" in entry)).toEqual([]);
  const call = only(always.sink.spans, "tribe.v1.ChatService/SendMessage");
  expect(call.parentSpanId ?? "").toBe("");
  expect(always.app.log).toContainEqual(expect.objectContaining({ traceId: call.traceId }));
});

test("a look at the health begins no trace, but may be part of one", async () => {
  const { app, sink, finish } = await startTraced({ OTEL_TRACES_SAMPLER_ARG: "1" });
  const look = (headers: TurnHeaders) => fetch(`${app.baseUrl}/health/ready`, { headers });
  const ids = newTrace();
  expect((await look({})).status).toBe(200);
  expect((await look(withKey(app, ids))).status).toBe(200);
  await finish();
  expect(sink.spans.map(({ name, traceId }) => ({ name, traceId }))).toEqual([
    { name: "tribe.v1.HealthService/Ready", traceId: ids.traceId },
  ]);
});

test("content is recorded, and a provider told of the trace, where the operator wants it", async () => {
  const { app, sink, provider, finish } = await startTraced({
    TRACE_CONTENT: "on",
    TRACE_PROVIDERS: "on",
  });
  const ids = newTrace();
  await grpc(app, withKey(app, ids));
  await finish();
  const attempt = sink.trace(ids.traceId).find((span) => span.name.startsWith("chat gpt"));
  expect(attempt?.attributes["gen_ai.input.messages"]).toContain(secretQuestion);
  expect(attempt?.attributes["gen_ai.output.messages"]).toContain(secretAnswer);
  expect(provider.requests[0]?.headers).toMatchObject({
    traceparent: `00-${ids.traceId}-${attempt?.spanId}-01`,
    tracestate: "vendor=7",
  });
});

test("a failure of the provider is one of its span and of the call, without its words", async () => {
  const { app, sink, provider, finish } = await startTraced();
  provider.script({ status: 400, error: { error: { message: "words that nobody may record" } } });
  const ids = newTrace();
  await expect(grpc(app, withKey(app, ids))).rejects.toThrow("openai rejected");
  await finish();
  const spans = sink.trace(ids.traceId);
  const attempt = spans.find((span) => span.name.startsWith("chat gpt"));
  expect(attempt).toMatchObject({ status: 2 });
  expect(attempt?.attributes["error.type"]).toMatch(/^[A-Z_]+$/);
  expect(only(spans, "chat turn")).toMatchObject({ status: 2 });
  expect(sink.raw()).not.toContain("nobody may record");
});

test("Sentry gets the same traces where the operator wants it", async () => {
  const sentry = await startOtlpSink();
  onTestFinished(() => sentry.close());
  const { app, sink, finish } = await startTraced({
    SENTRY_DSN: sentry.url.replace("http://", "http://publickey@") + "/42",
    SENTRY_TRACES: "on",
  });
  const ids = newTrace();
  await grpc(app, withKey(app, ids));
  await finish();
  expect(sentry.trace(ids.traceId).length).toBe(sink.trace(ids.traceId).length);
  expect(sentry.requests[0]).toMatchObject({
    path: "/api/42/integration/otlp/v1/traces",
    headers: { "x-sentry-auth": "sentry sentry_key=publickey" },
  });
});
