/** What Sentry is told, and what it is not. */
import { expect, onTestFinished, test } from "vitest";
import { unavailable, DomainError, notFound } from "../../src/errors.ts";
import { createTelemetry } from "../../src/telemetry/telemetry.ts";
import { readConfig } from "../../src/config.ts";
import { createSentry } from "../../src/telemetry/sentry.ts";
import { startDoors, type Doors } from "../support/doors.ts";
import { startSentrySink } from "../support/sentry-sink.ts";
import { addCallFacts } from "../../src/rpc/call.ts";

const planted = [
  "a question of Ada Lovelace",
  "sk-proj-0123456789abcdef",
  "ada@example.com",
  "postgres://tribe:hunter2@db/tribe",
  "Bearer tribe_key_of_somebody",
  "4111 1111 1111 1111",
];

async function startReported(throwing: () => unknown) {
  const sink = await startSentrySink();
  const config = readConfig({ SENTRY_DSN: sink.dsn, NODE_ENV: "test" });
  const telemetry = await createTelemetry(config.telemetry, "1.2.3");
  const doors: Doors = await startDoors({
    chat: {
      sendMessage(_request, context) {
        addCallFacts(context.values, { userId: "0198-user" });
        throw throwing();
      },
    },
    server: { trace: telemetry.trace, report: telemetry.report },
  });
  onTestFinished(async () => {
    await doors.close();
    await sink.close();
  });
  return { sink, doors, telemetry };
}

function ask({ httpUrl }: Doors) {
  return fetch(`${httpUrl}/api/v1/chat`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      authorization: planted[4]!,
      cookie: `session=${planted[1]}`,
      "x-request-id": "request-7",
      traceparent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00",
    },
    body: JSON.stringify({ content: [{ text: planted[0] }] }),
  });
}

test("an error that nobody expected is reported, without anything that was said or is secret", async () => {
  const { sink, doors, telemetry } = await startReported(() => {
    const cause = Object.assign(
      new Error(`${planted.join("\n")}\n    at ${planted[0]} (/${planted[2]}.js:1:1)`),
      { code: "ECONNRESET", detail: planted[0], query: planted[3] },
    );
    return Object.assign(new TypeError(`failed for ${planted.join(", ")}`, { cause }), {
      body: planted,
    });
  });
  expect((await ask(doors)).status).toBe(500);
  await telemetry.close(5_000);

  expect(sink.paths).toEqual(["/api/42/envelope/"]);
  const [event] = sink.events;
  expect(event).toMatchObject({
    release: "tribe@1.2.3",
    environment: "test",
    tags: { where: "tribe.v1.ChatService/SendMessage", door: "rest", request_id: "request-7" },
    user: { id: "0198-user" },
    contexts: { trace: { trace_id: "0af7651916cd43dd8448eb211c80319c" } },
  });
  const [inner, outer] = event!.exception.values;
  expect(inner).toMatchObject({ type: "Error", value: "ECONNRESET" });
  expect(outer).toMatchObject({ type: "TypeError" });
  const files = outer!.stacktrace.frames.map(({ filename }) => filename);
  expect(files.some((file) => file.endsWith("sentry.test.ts"))).toBe(true);
  for (const secret of planted) expect(sink.raw()).not.toContain(secret);
  expect(sink.raw()).not.toMatch(/Lovelace|hunter2|example\.com|127\.0\.0\.1:\d+\/api\/v1/);
});

test("a caller's mistake and an outage of what we depend on are not reported", async () => {
  const errors = [
    notFound("conversation", "7"),
    unavailable("PROVIDER_UNAVAILABLE", "the provider does not answer", new Error("ECONNREFUSED")),
    new DomainError("DEADLINE_EXCEEDED", "PROVIDER_IDLE_TIMEOUT", "it stopped"),
    new DomainError("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", "wait"),
  ];
  const { sink, doors, telemetry } = await startReported(() => errors.shift());
  const statuses = [];
  while (errors.length > 0) statuses.push((await ask(doors)).status);
  await telemetry.close(5_000);
  expect(statuses).toEqual([404, 503, 504, 429]);
  expect(sink.paths).toEqual([]);
});

test("the same error is reported once, and a flood is cut", async () => {
  const sink = await startSentrySink();
  onTestFinished(() => sink.close());
  const sentry = createSentry({ dsn: sink.dsn, version: "1", environment: "test" });
  const error = new Error("one");
  for (let time = 0; time < 3; time += 1) sentry.report({ error, where: "here" });
  for (let time = 0; time < 500; time += 1) sentry.report({ error: new Error("x"), where: "here" });
  await sentry.close(5_000);
  expect(sink.events.length).toBeGreaterThan(1);
  expect(sink.events.length).toBeLessThanOrEqual(60);
});

test("a server of Sentry's that hangs does not keep the process from ending", async () => {
  const sentry = createSentry({
    dsn: "http://publickey@192.0.2.1/42",
    version: "1",
    environment: "test",
  });
  sentry.report({ error: new Error("one"), where: "here" });
  await expect(sentry.close(50)).resolves.toBeUndefined();
});
