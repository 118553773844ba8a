import { createServer, type Server } from "node:net";
import { once } from "node:events";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { DomainError } from "../../src/errors.ts";
import { createAnthropicProvider } from "../../src/providers/anthropic/anthropic-provider.ts";
import { createOpenAIProvider } from "../../src/providers/openai/openai-provider.ts";
import type { ClosableProvider, ModelRequest } from "../../src/providers/provider.ts";
import { createLogger } from "../../src/telemetry/logger.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import { WIRES } from "../support/provider-server/wires.ts";
import type { Reply } from "../support/provider-server/reply.ts";
import { recordAnswer, type RecordedAnswer } from "../support/record-answer.ts";

const KEY = "sk-secret-1234567890";
/** For polls: other tests keep the machine busy. */
const PATIENT = { timeout: 10_000 };
const question: ModelRequest = {
  model: "some-model",
  messages: [{ role: "user", content: [{ type: "text", text: "Hello" }] }],
};
const baseUrlOf = {
  openai: ({ openaiUrl }: ProviderServer) => openaiUrl,
  anthropic: ({ url }: ProviderServer) => url,
};
const never = new AbortController().signal;

describe.each(["openai", "anthropic"] as const)("%s", (name) => {
  let server: ProviderServer;
  let provider: ClosableProvider;
  beforeAll(async () => {
    server = await startProviderServer();
    provider =
      name === "openai"
        ? createOpenAIProvider({ apiKey: KEY, baseUrl: server.openaiUrl })
        : createAnthropicProvider({ apiKey: KEY, baseUrl: server.url });
  });
  afterAll(async () => {
    await provider.close();
    await server.close();
  });
  afterEach(() => void server.requests.splice(0));

  /** What the call fails with, and what had arrived before. */
  async function failure(reply: Reply): Promise<{ error: DomainError; answer: RecordedAnswer }> {
    server.script(reply);
    const answer = recordAnswer();
    const error: unknown = await provider.answer(question, answer, never).then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof DomainError)) throw new Error("no DomainError", { cause: error });
    expect(`${error.message} ${JSON.stringify(error.metadata)}`).not.toContain("secret");
    expect(error.metadata).toMatchObject({ provider: name, model: "some-model" });
    return { error, answer };
  }

  test.each<[number, string, string]>([
    [400, "INVALID_ARGUMENT", "PROVIDER_REJECTED_REQUEST"],
    [401, "UNAVAILABLE", "PROVIDER_AUTHENTICATION_FAILED"],
    [402, "UNAVAILABLE", "PROVIDER_QUOTA_EXHAUSTED"],
    [403, "UNAVAILABLE", "PROVIDER_AUTHENTICATION_FAILED"],
    [404, "INVALID_ARGUMENT", "PROVIDER_REJECTED_REQUEST"],
    [408, "UNAVAILABLE", "PROVIDER_UNAVAILABLE"],
    [413, "INVALID_ARGUMENT", "PROVIDER_REJECTED_REQUEST"],
    [422, "INVALID_ARGUMENT", "PROVIDER_REJECTED_REQUEST"],
    [429, "RESOURCE_EXHAUSTED", "PROVIDER_RATE_LIMITED"],
    [500, "UNAVAILABLE", "PROVIDER_UNAVAILABLE"],
    [502, "UNAVAILABLE", "PROVIDER_UNAVAILABLE"],
    [503, "UNAVAILABLE", "PROVIDER_UNAVAILABLE"],
    [529, "UNAVAILABLE", "PROVIDER_UNAVAILABLE"],
    [302, "UNAVAILABLE", "PROVIDER_UNAVAILABLE"],
  ])("status %i is %s %s", async (status, code, reason) => {
    const { error } = await failure({ status });
    expect(error).toMatchObject({ code, reason, metadata: { status: String(status) } });
    expect(server.requests).toHaveLength(1);
  });

  test("tells a rejection in the provider's own words", async () => {
    const message = "Unsupported value: 'temperature' does not support 3 with this model.";
    const { error } = await failure({
      status: 400,
      error: { error: { type: "invalid_request_error", message } },
    });
    expect(error.message).toContain(message);
  });

  test.each<[string, object]>([
    ["Google", [{ error: { code: 400, message: "No such thing" } }]],
    ["Cloudflare", { success: false, errors: [{ code: 7, message: "No such thing" }] }],
    ["FastAPI", { detail: "No such thing" }],
    ["Ollama", { error: "No such thing" }],
  ])("tells a rejection as %s says it", async (_, body) => {
    const { error } = await failure({ status: 400, error: body });
    expect(error.message).toBe(`${name} rejected the request: No such thing`);
  });

  test("takes the stand-in for a key that is not needed for no secret", async () => {
    const connect = name === "openai" ? createOpenAIProvider : createAnthropicProvider;
    const keyless = connect({ apiKey: "none", baseUrl: baseUrlOf[name](server) });
    server.script({ status: 400, error: { error: { message: "none of these is known" } } });
    await expect(keyless.answer(question, recordAnswer(), never)).rejects.toThrow(
      "none of these is known",
    );
    await keyless.close();
  });

  test("tells what FastAPI finds wrong, and where, but not what was sent there", async () => {
    const detail = [
      { type: "less_than", loc: ["body", "top_p"], msg: "Input is too large", input: "Hello" },
      { type: "missing", loc: ["body", "user"], msg: "Field required", input: "Hello" },
    ];
    const { error } = await failure({ status: 422, error: { detail } });
    expect(error.message).toBe(
      `${name} rejected the request: body.top_p: Input is too large; body.user: Field required`,
    );
    const unknown = await failure({ status: 400, error: { input: "Hello" } });
    expect(unknown.error.message).toBe(`${name} rejected the request: status 400`);
  });

  test.each<[string, object]>([
    [
      "OpenAI",
      {
        code: "context_length_exceeded",
        message: "This model's maximum context length is 128000.",
      },
    ],
    [
      "Anthropic",
      {
        type: "invalid_request_error",
        message: "prompt is too long: 205000 tokens > 200000 maximum",
      },
    ],
    ["llama.cpp", { message: "the request exceeds the available context size" }],
  ])("knows a context that is too long, as %s says it", async (_, error) => {
    const { error: known } = await failure({ status: 400, error: { error } });
    expect(known).toMatchObject({ code: "INVALID_ARGUMENT", reason: "CONTEXT_TOO_LONG" });
  });

  test.each<[string, number, object]>([
    ["OpenAI", 429, { code: "insufficient_quota", message: "You exceeded your current quota." }],
    ["Anthropic", 400, { message: "Your credit balance is too low to access the API." }],
  ])("knows an account that is used up, as %s says it", async (_, status, error) => {
    const { error: known } = await failure({ status, error: { error } });
    expect(known).toMatchObject({ code: "UNAVAILABLE", reason: "PROVIDER_QUOTA_EXHAUSTED" });
  });

  test.each<[Record<string, string>, number]>([
    [{ "retry-after": "7" }, 7],
    [{ "retry-after-ms": "1500" }, 2],
    [{}, 1],
  ])("passes on when to retry: %j", async (headers, seconds) => {
    const { error } = await failure({ status: 429, headers });
    expect(error.retryAfterSeconds).toBe(seconds);
  });

  test("passes on a date to retry at", async () => {
    const date = new Date(Date.now() + 600_000).toUTCString();
    const { error } = await failure({ status: 503, headers: { "retry-after": date } });
    expect(error.retryAfterSeconds).toBeGreaterThan(500);
    expect(error.retryAfterSeconds).toBeLessThanOrEqual(600);
  });

  test.each([
    ["a page", "<html>Bad gateway</html>"],
    ["nothing", ""],
    ["half a JSON", '{"error":'],
  ])("survives an error answer that is %s", async (_, body) => {
    const { error } = await failure({ status: 502, error: body });
    expect(error).toMatchObject({ reason: "PROVIDER_UNAVAILABLE" });
  });

  test("survives an error answer that never ends", async () => {
    const { error } = await failure({ status: 500, error: "x".repeat(1_000_000) });
    expect(error).toMatchObject({ reason: "PROVIDER_UNAVAILABLE" });
    expect(error.message.length).toBeLessThan(1200);
  });

  /** What the operator's log has of a failure. */
  function logged(error: DomainError): string {
    const lines: string[] = [];
    const logger = createLogger({ destination: { write: (line) => void lines.push(line) } });
    logger.warn({ err: error.cause }, error.message);
    return lines.join("");
  }

  test("keeps our key and the caller's words out of the log, whatever the server repeats", async () => {
    const headers = { "x-echo": `Bearer ${KEY}` };
    const error = { error: { message: `no ${KEY} here` }, input: "the caller's words" };
    const refused = logged((await failure({ status: 400, headers, error })).error);
    expect(refused).toContain("no [redacted] here");
    expect(refused).not.toContain(KEY);
    expect(refused).not.toContain("caller's words");

    const raw = ['{"choices":[{"message":{"content":"the model\'s words"}}]}'];
    const wrong = await failure({ headers: { "content-type": "application/json" }, raw });
    expect(logged(wrong.error)).toContain("application/json");
    expect(logged(wrong.error)).not.toContain("model's words");
  });

  test("knows a refusal whose body hangs by its status", async () => {
    const headers = { "retry-after": "7" };
    const { error } = await failure({
      status: 429,
      headers,
      error: '{"err',
      hang: "after_headers",
    });
    expect(error).toMatchObject({ reason: "PROVIDER_RATE_LIMITED", retryAfterSeconds: 7 });
    await expect.poll(() => server.requests[0]?.aborted, PATIENT).toBe(true);
  });

  test("a body that is no stream of events, and hangs", async () => {
    const headers = { "content-type": "text/html" };
    const { error } = await failure({ headers, raw: ["<html>Please wait"], hang: 1 });
    expect(error).toMatchObject({ code: "UNAVAILABLE", reason: "PROVIDER_UNAVAILABLE" });
    await expect.poll(() => server.requests[0]?.aborted, PATIENT).toBe(true);
  });

  test("a body that is no stream of events", async () => {
    const headers = { "content-type": "application/json" };
    const answered = await failure({ headers, raw: ['{"id":"x","choices":[]}'] });
    expect(answered.error).toMatchObject({ code: "UNAVAILABLE", reason: "PROVIDER_UNAVAILABLE" });
    const refused = await failure({
      headers,
      raw: ['{"error":{"type":"invalid_request_error","message":"no such thing"}}'],
    });
    expect(refused.error).toMatchObject({ reason: "PROVIDER_REJECTED_REQUEST" });
  });

  test("an error within the stream, after content", async () => {
    const { error, answer } = await failure({ errorAfter: 5 });
    expect(error).toMatchObject({ code: "UNAVAILABLE", reason: "PROVIDER_UNAVAILABLE" });
    expect(answer.text).not.toBe("");
  });

  test.each<[string, string]>([
    ["rate_limit_error", "PROVIDER_RATE_LIMITED"],
    ["overloaded_error", "PROVIDER_UNAVAILABLE"],
    ["invalid_request_error", "PROVIDER_REJECTED_REQUEST"],
    ["authentication_error", "PROVIDER_AUTHENTICATION_FAILED"],
  ])("an error within the stream of type %s", async (type, reason) => {
    const { error } = await failure({
      errorAfter: 2,
      error: { type: "error", error: { type, message: "told so" } },
    });
    expect(error.reason).toBe(reason);
  });

  test.each([0, 1, 3, 8])("a stream that ends after %i events", async (truncateAfter) => {
    const { error } = await failure({ truncateAfter });
    expect(error).toMatchObject({ code: "UNAVAILABLE", reason: "PROVIDER_STREAM_TRUNCATED" });
  });

  test("a stream that ends after the finish reason, but before its own end", async () => {
    const events = WIRES[name].events({ reply: { text: "Hi" }, model: "m", body: {} });
    server.script({ raw: events.slice(0, -1) });
    const answer = await provider.answer(question, recordAnswer(), never).then(
      ({ finishReason }) => finishReason,
      (error: DomainError) => error.reason,
    );
    // For OpenAI that is enough, because not every compatible server sends [DONE].
    expect(answer).toBe(name === "openai" ? "stop" : "PROVIDER_STREAM_TRUNCATED");
  });

  test("a stream that ends within an event", async () => {
    const { error } = await failure({ raw: ['data: {"type":"ping","choices":[{"delta":{"con'] });
    expect(error.reason).toBe("PROVIDER_STREAM_TRUNCATED");
  });

  test("an event that is not JSON", async () => {
    const { error } = await failure({ raw: ["data: {nonsense}\n\n", "data: [DONE]\n\n"] });
    expect(error).toMatchObject({ code: "UNAVAILABLE", reason: "PROVIDER_UNAVAILABLE" });
  });

  test("a connection that is reset before the headers", async () => {
    const { error } = await failure({ resetAfter: 0 });
    expect(error).toMatchObject({ code: "UNAVAILABLE", reason: "PROVIDER_UNAVAILABLE" });
  });

  test("a connection that is reset in the middle", async () => {
    const { error, answer } = await failure({ resetAfter: 6 });
    expect(error).toMatchObject({ code: "UNAVAILABLE", reason: "PROVIDER_STREAM_TRUNCATED" });
    expect(answer.text).not.toBe("");
  });

  test("nobody listens there", async () => {
    const closed: Server = createServer().listen(0, "127.0.0.1");
    await once(closed, "listening");
    const { port } = closed.address() as { port: number };
    closed.close();
    await once(closed, "close");
    const baseUrl = `http://127.0.0.1:${port}/v1`;
    const lonely =
      name === "openai"
        ? createOpenAIProvider({ apiKey: KEY, baseUrl })
        : createAnthropicProvider({ apiKey: KEY, baseUrl });
    await expect(lonely.answer(question, recordAnswer(), never)).rejects.toMatchObject({
      code: "UNAVAILABLE",
      reason: "PROVIDER_UNAVAILABLE",
      message: expect.stringContaining("ECONNREFUSED") as string,
    });
    await lonely.close();
  });

  describe("when the caller aborts", () => {
    test.each<[string, Reply, number]>([
      ["before the headers", { hang: "before_headers" }, 0],
      ["after the headers", { hang: "after_headers" }, 0],
      ["in the middle of the answer", { hang: 8 }, 2],
    ])("%s, it ends at once with the signal's reason", async (_, reply, deltas) => {
      server.script(reply);
      const controller = new AbortController();
      const answer = recordAnswer();
      const asked = provider.answer(question, answer, controller.signal);
      asked.catch(() => undefined);
      await expect.poll(() => server.requests.length, PATIENT).toBe(1);
      await answer.received(deltas);
      const reason = new Error("the caller went away");
      controller.abort(reason);
      await expect(asked).rejects.toBe(reason);
      await expect.poll(() => server.requests[0]?.aborted, PATIENT).toBe(true);
    });

    test("before the call, the provider is not asked", async () => {
      const reason = new Error("too late");
      await expect(
        provider.answer(question, recordAnswer(), AbortSignal.abort(reason)),
      ).rejects.toBe(reason);
      expect(server.requests).toHaveLength(0);
    });
  });

  test("a failed call leaves the next one alone", async () => {
    await failure({ resetAfter: 3 });
    const answer = recordAnswer();
    server.script({ text: "fine" });
    await provider.answer(question, answer, never);
    expect(answer.text).toBe("fine");
  });

  test("a body that does not end with the answer holds up nobody", async () => {
    const raw = WIRES[name].events({ reply: { text: "Hi" }, model: "m", body: {} });
    server.script({ raw, hang: raw.length });
    const answer = recordAnswer();
    await provider.answer(question, answer, never);
    expect(answer.text).toBe("Hi");
    // Nor is its connection kept.
    await expect.poll(() => server.requests[0]?.aborted, PATIENT).toBe(true);
  });
});
