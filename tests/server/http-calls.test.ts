/** Calls over Connect and REST: errors, deadlines, callers that leave, the log. */
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterEach, expect, test } from "vitest";
import {
  ErrorInfoSchema,
  QuotaFailureSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "../../gen/google/rpc/error_details_pb.js";
import { ChatService, StreamMessageResponseSchema } from "../../gen/tribe/v1/chat_pb.js";
import { DomainError, unauthenticated } from "../../src/errors.ts";
import { startDoors, type Doors, type DoorsOptions } from "../support/doors.ts";
import { eventually, until } from "../support/eventually.ts";

let doors: Doors;
async function start(options: DoorsOptions = {}): Promise<void> {
  doors = await startDoors(options);
}
afterEach(() => doors.close());

const hello = { content: [{ part: { case: "text" as const, value: "Hello" } }] };
const doorNames = ["connect", "grpc-web"] as const;
function clientOf(door: (typeof doorNames)[number]) {
  const options = { baseUrl: doors.httpUrl, httpVersion: "1.1" as const };
  const make = door === "connect" ? createConnectTransport : createGrpcWebTransport;
  return createClient(ChatService, make(options));
}
function rest(path: string, init: RequestInit = {}): Promise<Response> {
  return fetch(doors.httpUrl + path, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: '{"content":[{"text":"Hello"}]}',
    ...init,
  });
}
/** Ends when the signal does. */
function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error));
  });
}

const tooMany = () =>
  new DomainError("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", "too many requests", {
    quotas: [{ subject: "user:1", description: "60 requests a minute" }],
    retryAfterSeconds: 2,
  });

test.each(doorNames)("%s: errors carry their details, unary and in a stream", async (door) => {
  await start({
    chat: {
      sendMessage() {
        throw tooMany();
      },
      async *streamMessage() {
        yield create(StreamMessageResponseSchema, { sequence: 1n });
        throw tooMany();
      },
    },
  });
  const client = clientOf(door);
  const failures = [
    client.sendMessage(hello),
    (async () => {
      for await (const event of client.streamMessage(hello)) expect(event.sequence).toBe(1n);
    })(),
  ];
  for (const failure of failures) {
    const error = await failure.then(
      () => undefined,
      (reason: unknown) => ConnectError.from(reason),
    );
    expect(error).toMatchObject({ code: Code.ResourceExhausted, rawMessage: "too many requests" });
    expect(error?.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "LIMIT_EXCEEDED" }]);
    expect(error?.findDetails(QuotaFailureSchema)).toHaveLength(1);
    expect(error?.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 2n } }]);
    expect(error?.metadata.get("retry-after")).toBe("2");
    const [info] = error?.findDetails(RequestInfoSchema) ?? [];
    expect(doors.log).toContainEqual(
      expect.objectContaining({ door, code: "RESOURCE_EXHAUSTED", requestId: info?.requestId }),
    );
  }
});

test("REST: errors carry their details and retry-after", async () => {
  await start({
    chat: {
      sendMessage() {
        throw tooMany();
      },
    },
  });
  const response = await rest("/api/v1/chat", {
    headers: { "content-type": "application/json", "x-request-id": "from-me" },
  });
  expect(response.status).toBe(429);
  expect(response.headers.get("retry-after")).toBe("2");
  expect(response.headers.get("x-request-id")).toBe("from-me");
  expect(await response.json()).toEqual({
    code: 8,
    message: "too many requests",
    details: [
      {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        reason: "LIMIT_EXCEEDED",
        domain: "tribe",
      },
      {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        violations: [{ subject: "user:1", description: "60 requests a minute" }],
      },
      { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "2s" },
      { "@type": "type.googleapis.com/google.rpc.RequestInfo", requestId: "from-me" },
    ],
  });
  expect(doors.log).toMatchObject([
    { door: "rest", rpc: "tribe.v1.ChatService/SendMessage", code: "RESOURCE_EXHAUSTED" },
  ]);
});

test("a failure of our own is an internal error everywhere, its cause only in the log", async () => {
  await start({
    chat: {
      sendMessage() {
        throw new TypeError("the database is at 10.0.0.1");
      },
    },
  });
  const texts = await Promise.all([
    rest("/api/v1/chat").then((response) => response.text()),
    rest("/tribe.v1.ChatService/SendMessage").then((response) => response.text()),
  ]);
  for (const text of texts) {
    expect(text).toContain("internal error");
    expect(text).not.toContain("10.0.0.1");
  }
  expect(doors.log).toHaveLength(2);
  for (const line of doors.log) {
    expect(line).toMatchObject({
      level: "error",
      code: "INTERNAL",
      err: { message: "the database is at 10.0.0.1" },
    });
  }
});

test.each([
  ["connect", "/tribe.v1.ChatService/SendMessage", "connect-timeout-ms", "100"],
  ["rest", "/api/v1/chat", "x-server-timeout", "0.1"],
])("%s: a call ends at the caller's deadline", async (door, path, header, value) => {
  await start({ chat: { sendMessage: () => new Promise(() => {}) } });
  const headers = { "content-type": "application/json", [header]: value };
  const response = await rest(path, { headers });
  expect(response.status).toBe(504);
  expect(await response.text()).toContain("DEADLINE_EXCEEDED");
  expect(doors.log).toMatchObject([{ door, code: "DEADLINE_EXCEEDED" }]);
});

test.each([
  ["connect", "/tribe.v1.ChatService/SendMessage"],
  ["rest", "/api/v1/chat"],
])("%s: a call without a deadline ends at the door's", async (door, path) => {
  await start({
    chat: { sendMessage: () => new Promise(() => {}) },
    server: { defaultTimeoutMs: 50 },
  });
  expect((await rest(path)).status).toBe(504);
  expect(doors.log).toMatchObject([{ door, code: "DEADLINE_EXCEEDED" }]);
});

test.each(doorNames)("%s: a stream without a deadline ends at the door's", async (door) => {
  await start({
    chat: {
      async *streamMessage() {
        yield create(StreamMessageResponseSchema, { sequence: 1n });
        await new Promise(() => {});
      },
    },
    server: { defaultTimeoutMs: 100 },
  });
  const read = async () => {
    for await (const event of clientOf(door).streamMessage(hello)) expect(event.sequence).toBe(1n);
  };
  await expect(read()).rejects.toMatchObject({ code: Code.DeadlineExceeded });
  expect(doors.log).toMatchObject([{ door, code: "DEADLINE_EXCEEDED", messages: 1 }]);
});

test.each([
  ["connect", "/tribe.v1.ChatService/SendMessage"],
  ["rest", "/api/v1/chat"],
])("%s: a unary caller that leaves is told to the handler and logged", async (door, path) => {
  let reached = false;
  let aborted = false;
  await start({
    chat: {
      async sendMessage(_request, { signal }) {
        reached = true;
        await untilAborted(signal).catch(() => (aborted = true));
        return {};
      },
    },
  });
  const leave = new AbortController();
  const response = rest(path, { signal: leave.signal }).catch(() => "left");
  await until(() => reached);
  leave.abort();
  expect(await response).toBe("left");
  await eventually(() => expect(aborted).toBe(true));
  await eventually(() => expect(doors.log).toMatchObject([{ door, code: "CANCELLED" }]));
});

test.each(["connect", "grpc-web", "rest"])(
  "%s: a reader of a stream that leaves is told to the handler and logged",
  async (door) => {
    let finished = false;
    await start({
      chat: {
        async *streamMessage(_request, { signal }) {
          try {
            yield create(StreamMessageResponseSchema, { sequence: 1n });
            await untilAborted(signal);
          } finally {
            finished = true;
          }
        },
      },
    });
    if (door === "rest") {
      const leave = new AbortController();
      const response = await rest("/api/v1/chat:stream", { signal: leave.signal });
      await response.body?.getReader().read();
      leave.abort();
    } else {
      const leave = new AbortController();
      const client = clientOf(door as "connect");
      const events = client.streamMessage(hello, { signal: leave.signal })[Symbol.asyncIterator]();
      await events.next();
      leave.abort();
    }
    await eventually(() => expect(finished).toBe(true));
    await eventually(() =>
      expect(doors.log).toMatchObject([
        { door, rpc: "tribe.v1.ChatService/StreamMessage", code: "CANCELLED", messages: 1 },
      ]),
    );
  },
);

test("interceptors that are passed in come before validation, inside the log", async () => {
  const authentication: Interceptor = (next) => async (request) => {
    if (!request.header.has("authorization")) throw unauthenticated("no credential");
    return next(request);
  };
  await start({ interceptors: [authentication] });
  const refused = await rest("/api/v1/chat", { body: "{}" });
  expect(refused.status).toBe(401);
  expect(doors.handled).toEqual([]);
  expect(doors.log).toMatchObject([{ door: "rest", code: "UNAUTHENTICATED" }]);
  const headers = { "content-type": "application/json", authorization: "Bearer x" };
  expect((await rest("/api/v1/chat", { body: "{}", headers })).status).toBe(400);
  expect((await rest("/api/v1/chat", { headers })).status).toBe(200);
  expect(doors.handled).toEqual(["SendMessage"]);
});

test("handlers set headers and trailers", async () => {
  await start({
    chat: {
      sendMessage(_request, { responseHeader, responseTrailer }) {
        responseHeader.set("x-tribe-cache", "miss");
        responseTrailer.set("x-last", "done");
        return {};
      },
    },
  });
  const connect = await rest("/tribe.v1.ChatService/SendMessage");
  expect(connect.headers.get("x-tribe-cache")).toBe("miss");
  expect(connect.headers.get("trailer-x-last")).toBe("done");
  expect((await rest("/api/v1/chat")).headers.get("x-tribe-cache")).toBe("miss");
});
