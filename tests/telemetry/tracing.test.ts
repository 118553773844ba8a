/** The traces of whole turns, through every door, as a collector gets them. */
import { expect, onTestFinished, test } from "vitest";
import { startApp, type TestApp } from "../support/app.ts";
import { startSentrySink, type SentryTransaction } from "../support/sentry-sink.ts";
import { eventually } from "../support/eventually.ts";
import { scrape } from "../support/scrape.ts";
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
import { readVersion } from "../../src/version.ts";
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
  // Calls before that do without Redis.
  await eventually(async () =>
    expect((await scrape(app.metricsUrl)).value("tribe_redis_connected")).toBe(1),
  );
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
  const traces: TraceIds[] = [];
  for (const { ask } of Object.values(turnDoors)) {
    const ids = newTrace();
    traces.push(ids);
    await ask(app, secretQuestion, withKey(app, ids));
  }
  await finish();
  expect(provider.requests).toHaveLength(traces.length);
  for (const [index, { traceId }] of traces.entries()) {
    const attempt = sink.trace(traceId).find((span) => span.name.startsWith("chat gpt"));
    expect(attempt?.attributes["gen_ai.input.messages"]).toContain(secretQuestion);
    expect(attempt?.attributes["gen_ai.output.messages"]).toContain(secretAnswer);
    expect(provider.requests[index]?.headers).toMatchObject({
      traceparent: `00-${traceId}-${attempt?.spanId}-01`,
      tracestate: "vendor=7",
    });
  }
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

test("Sentry gets recorded calls as transactions where the operator wants it, without content", async () => {
  const sentry = await startSentrySink();
  onTestFinished(() => sentry.close());
  const { app, sink, provider, finish } = await startTraced({
    SENTRY_DSN: sentry.dsn,
    SENTRY_TRACES: "on",
    TRACE_CONTENT: "on",
    NODE_ENV: "test",
  });
  const [whole, stream, failed, unwanted] = [newTrace(), newTrace(), newTrace(), newTrace()];
  await grpc(app, { ...withKey(app, whole), "x-request-id": "request-7" });
  await turnDoors["a REST stream"].ask(app, secretQuestion, withKey(app, stream));
  provider.script({ status: 400, error: { error: { message: "words that nobody may record" } } });
  await expect(grpc(app, withKey(app, failed))).rejects.toThrow("openai rejected");
  await grpc(app, withKey(app, unwanted, "00"));
  await finish();

  const transactions = [whole, stream, failed].map(({ traceId }) => {
    const found = sentry.transactions.filter(({ contexts }) => contexts.trace.trace_id === traceId);
    expect(found).toHaveLength(1);
    return found[0]!;
  });
  expect(sentry.transactions).toHaveLength(3);
  const [first, second, third] = transactions as [SentryTransaction, ...SentryTransaction[]];
  expect(first).toMatchObject({
    release: `tribe@${readVersion()}`,
    environment: "test",
    transaction: "tribe.v1.ChatService/SendMessage",
    tags: { door: "grpc", request_id: "request-7" },
    user: { id: expect.stringMatching(/^[0-9a-f-]{36}$/) as string },
    contexts: { trace: { parent_span_id: whole.spanId, op: "rpc.server", status: "ok" } },
  });
  expect(second).toMatchObject({
    transaction: "tribe.v1.ChatService/StreamMessage",
    tags: { door: "rest" },
  });
  expect(third?.contexts.trace.status).toBe("invalid_argument");
  for (const { contexts, spans, start_timestamp, timestamp } of transactions) {
    const { trace_id: traceId, span_id: rootId } = contexts.trace;
    expect(
      spans
        .map((span) => span.span_id)
        .concat(rootId)
        .sort(),
    ).toEqual(
      sink
        .trace(traceId)
        .map(({ spanId }) => spanId)
        .sort(),
    );
    const operations = new Set(spans.map(({ op }) => op));
    expect([...operations].sort()).toEqual(["db", "db.redis", "function", "gen_ai.chat"]);
    for (const span of spans) {
      expect(span.start_timestamp).toBeGreaterThanOrEqual(start_timestamp);
      expect(span.timestamp).toBeLessThanOrEqual(timestamp);
    }
  }
  // The collector is the operator's own.
  expect(sink.raw()).toContain(secretQuestion);
  expect(sentry.raw()).not.toContain("nobody may record");
  expect(sentry.raw()).not.toContain(app.key);
  expect(sentry.events).toEqual([]);
}, 60_000);

test("Sentry alone gets them, without a collector, by the ratio", async () => {
  const sentry = await startSentrySink();
  onTestFinished(() => sentry.close());
  const environment = { SENTRY_DSN: sentry.dsn, OTEL_TRACES_SAMPLER_ARG: "1" };
  for (const sentryTraces of ["off", "on"]) {
    const app = await startApp({ ...environment, SENTRY_TRACES: sentryTraces });
    await grpc(app, { authorization: `Bearer ${app.key}` });
    await app.close();
    expect(sentry.transactions).toHaveLength(sentryTraces === "on" ? 1 : 0);
  }
  expect(sentry.paths).toEqual(["/api/42/envelope/"]);
  expect(sentry.raw()).toContain('"sample_rate":"1"');
  expect(sentry.raw()).toContain('"public_key":"publickey"');
}, 60_000);
