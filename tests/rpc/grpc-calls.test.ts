/** gRPC calls through @grpc/grpc-js clients, as internal services make them. */
import { create, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { Metadata, status, type ClientReadableStream, type ServiceError } from "@grpc/grpc-js";
import { afterEach, expect, test, vi } from "vitest";
import {
  ChatService,
  SendMessageRequestSchema,
  StreamMessageResponseSchema,
  type SendMessageResponseSchema,
} from "../../gen/tribe/v1/chat_pb.js";
import { addCallFacts } from "../../src/rpc/call.ts";
import { DomainError } from "../../src/errors.ts";
import { startDoors, type Doors, type DoorsOptions } from "../support/doors.ts";
import { detailsOf, statusFromServiceError } from "../support/error-details.ts";
import { createGrpcClient, type GrpcClient } from "../support/grpc-client.ts";
import { callRaw, frame } from "../support/raw-grpc.ts";
import { eventually } from "../support/eventually.ts";

let doors: Doors;
let client: GrpcClient;
async function start(options: DoorsOptions = {}): Promise<void> {
  doors = await startDoors(options);
  client = createGrpcClient(ChatService, doors.grpcAddress);
}
afterEach(async () => {
  client.close();
  await doors.close();
});

const hello = create(SendMessageRequestSchema, {
  content: [{ part: { case: "text", value: "Hello" } }],
});
type SendMessageResponse = MessageShape<typeof SendMessageResponseSchema>;

interface Outcome {
  response?: SendMessageResponse;
  error?: ServiceError;
  metadata: Metadata;
  trailer: Metadata;
}
function send({ metadata = new Metadata() } = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const outcome: Outcome = { metadata: new Metadata(), trailer: new Metadata() };
    const call = client["SendMessage"]!(
      hello,
      metadata,
      (error: ServiceError | null, response: SendMessageResponse) => {
        if (error) outcome.error = error;
        else outcome.response = response;
      },
    );
    call.on("metadata", (given: Metadata) => (outcome.metadata = given));
    call.on("status", ({ metadata: trailer }: { metadata: Metadata }) => {
      outcome.trailer = trailer;
      setImmediate(() => resolve(outcome));
    });
  });
}
function stream(
  count: number,
): ClientReadableStream<MessageShape<typeof StreamMessageResponseSchema>> {
  return client["StreamMessage"]!({ ...hello, metadata: { count: String(count) } });
}
/** Ends when the signal does. */
function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    signal.addEventListener("abort", () => reject(signal.reason as Error));
  });
}

test("carries metadata both ways, binary values too", async () => {
  await start({
    chat: {
      sendMessage(_request, { requestHeader, responseHeader, responseTrailer }) {
        responseHeader.set("x-echo", requestHeader.get("x-word") ?? "");
        responseHeader.set("x-echo-bin", requestHeader.get("x-bytes-bin") ?? "");
        responseTrailer.set("x-last", "done");
        return { model: "m" };
      },
    },
  });
  const metadata = new Metadata();
  metadata.set("x-word", "one");
  metadata.set("x-bytes-bin", Buffer.from([0, 1, 254, 255]));
  metadata.set("x-request-id", "from-me");
  const outcome = await send({ metadata });
  expect(outcome.error).toBeUndefined();
  expect(outcome.metadata.get("x-echo")).toEqual(["one"]);
  expect(outcome.metadata.get("x-echo-bin")).toEqual([Buffer.from([0, 1, 254, 255])]);
  expect(outcome.metadata.get("x-request-id")).toEqual(["from-me"]);
  expect(outcome.trailer.get("x-last")).toEqual(["done"]);
});

test("tells of errors with all their details and when to try again", async () => {
  await start({
    chat: {
      sendMessage() {
        throw new DomainError("RESOURCE_EXHAUSTED", "LIMIT_EXCEEDED", "too many requests — wait", {
          quotas: [{ subject: "user:1", description: "60 requests a minute" }],
          retryAfterSeconds: 1.5,
          metadata: { limit: "60" },
        });
      },
    },
  });
  const { error } = await send();
  expect(error).toMatchObject({
    code: status.RESOURCE_EXHAUSTED,
    details: "too many requests — wait",
  });
  expect(error?.metadata.get("retry-after")).toEqual(["2"]);
  const [requestId] = error?.metadata.get("x-request-id") ?? [];
  const google = statusFromServiceError(error!);
  expect(google).toMatchObject({ code: 8, message: "too many requests — wait" });
  expect(detailsOf(google)).toEqual({
    ErrorInfo: { reason: "LIMIT_EXCEEDED", domain: "tribe", metadata: { limit: "60" } },
    QuotaFailure: { violations: [{ subject: "user:1", description: "60 requests a minute" }] },
    RetryInfo: { retryDelay: "1.500s" },
    RequestInfo: { requestId },
  });
});

test("says nothing of a failure of its own but the request id", async () => {
  await start({
    chat: {
      sendMessage() {
        throw new TypeError("password=hunter2 is wrong");
      },
    },
  });
  const { error } = await send();
  expect(error).toMatchObject({ code: status.INTERNAL, details: "internal error" });
  const [requestId] = error?.metadata.get("x-request-id") ?? [];
  expect(detailsOf(statusFromServiceError(error!))).toEqual({
    ErrorInfo: { reason: "INTERNAL", domain: "tribe" },
    RequestInfo: { requestId },
  });
  expect(doors.log).toMatchObject([
    {
      level: "error",
      door: "grpc",
      rpc: "tribe.v1.ChatService/SendMessage",
      code: "INTERNAL",
      requestId,
      err: { type: "TypeError", message: "password=hunter2 is wrong" },
    },
  ]);
});

test("logs one line with the facts that a handler added", async () => {
  await start({
    chat: {
      sendMessage(_request, { values }) {
        addCallFacts(values, { model: "demo", inputTokens: 3 });
        addCallFacts(values, { outputTokens: 5 });
        return {};
      },
    },
  });
  const { metadata } = await send();
  expect(doors.log).toMatchObject([
    {
      level: "info",
      msg: "call",
      door: "grpc",
      rpc: "tribe.v1.ChatService/SendMessage",
      code: "OK",
      requestId: metadata.get("x-request-id")[0],
      model: "demo",
      inputTokens: 3,
      outputTokens: 5,
    },
  ]);
  expect(doors.log[0]?.["durationMs"]).toBeTypeOf("number");
});

test.each(["listens to its signal", "does not"])(
  "ends a call at the caller's deadline if the handler %s",
  async (which) => {
    await start({
      chat: {
        sendMessage: (_request, { signal }) =>
          which === "does not" ? new Promise(() => {}) : untilAborted(signal),
      },
    });
    // By hand: a client would end the call itself at the same moment.
    const body = frame(toBinary(SendMessageRequestSchema, hello));
    const path = "/tribe.v1.ChatService/SendMessage";
    const headers = { "grpc-timeout": "50m" };
    const { trailers } = await callRaw(doors.grpcAddress, path, body, headers);
    expect(trailers["grpc-status"]).toBe("4");
    await eventually(() =>
      expect(doors.log).toMatchObject([{ code: "DEADLINE_EXCEEDED", level: "warn" }]),
    );
  },
);

test("ends a call at the door's deadline if it brings none", async () => {
  await start({
    chat: { sendMessage: () => new Promise(() => {}) },
    server: { defaultTimeoutMs: 50 },
  });
  const { error } = await send();
  expect(error?.code).toBe(status.DEADLINE_EXCEEDED);
  expect(error?.details).toMatch(/deadline/);
  expect(detailsOf(statusFromServiceError(error!))["ErrorInfo"]).toMatchObject({
    reason: "DEADLINE_EXCEEDED",
  });
  await eventually(() => expect(doors.log).toMatchObject([{ code: "DEADLINE_EXCEEDED" }]));
});

test("ends a stream at its deadline, with what it had sent", async () => {
  await start({
    chat: {
      async *streamMessage() {
        yield create(StreamMessageResponseSchema, { sequence: 1n });
        await new Promise(() => {});
      },
    },
    server: { defaultTimeoutMs: 100 },
  });
  const events: bigint[] = [];
  const error = await new Promise<ServiceError>((resolve) => {
    stream(2)
      .on("data", ({ sequence }: { sequence: bigint }) => events.push(sequence))
      .on("error", resolve);
  });
  expect(events).toEqual([1n]);
  expect(error.code).toBe(status.DEADLINE_EXCEEDED);
  expect(doors.log).toMatchObject([{ code: "DEADLINE_EXCEEDED", messages: 1 }]);
});

test("tells the handler when the caller goes away, and logs it", async () => {
  let aborted: unknown;
  let finished = false;
  await start({
    chat: {
      async *streamMessage(_request, { signal }) {
        try {
          yield create(StreamMessageResponseSchema, { sequence: 1n });
          await untilAborted(signal);
        } catch (reason) {
          aborted = reason;
          throw reason;
        } finally {
          finished = true;
        }
      },
    },
  });
  const call = stream(1);
  call.on("error", () => {});
  call.once("data", () => call.cancel());
  await eventually(() => expect(finished).toBe(true));
  expect(aborted).toMatchObject({ rawMessage: "the caller went away" });
  await eventually(() =>
    expect(doors.log).toMatchObject([
      { door: "grpc", rpc: "tribe.v1.ChatService/StreamMessage", code: "CANCELLED", messages: 1 },
    ]),
  );
});

test("maps errors in the middle of a stream", async () => {
  await start({
    chat: {
      async *streamMessage() {
        yield create(StreamMessageResponseSchema, { sequence: 1n });
        throw new DomainError(
          "UNAVAILABLE",
          "PROVIDER_UNAVAILABLE",
          "the provider does not answer",
          {
            retryAfterSeconds: 3,
          },
        );
      },
    },
  });
  const error = await new Promise<ServiceError>((resolve) => {
    stream(1)
      .on("data", () => {})
      .on("error", resolve);
  });
  expect(error).toMatchObject({
    code: status.UNAVAILABLE,
    details: "the provider does not answer",
  });
  expect(error.metadata.get("retry-after")).toEqual(["3"]);
  expect(detailsOf(statusFromServiceError(error))["ErrorInfo"]).toMatchObject({
    reason: "PROVIDER_UNAVAILABLE",
  });
  expect(doors.log).toMatchObject([{ level: "warn", code: "UNAVAILABLE", messages: 1 }]);
});

test("holds a stream back while the caller does not read", async () => {
  const total = 2000;
  let made = 0;
  await start({
    chat: {
      async *streamMessage() {
        for (; made < total; made += 1) {
          yield create(StreamMessageResponseSchema, {
            sequence: BigInt(made + 1),
            event: { case: "textDelta", value: { text: "x".repeat(10_000) } },
          });
        }
      },
    },
  });
  const call = stream(1);
  // An object-mode stream reads ahead by some messages, then it stops reading from the wire.
  await new Promise((resolve) => call.once("readable", resolve));
  let before = -1;
  await vi.waitUntil(
    () => {
      const still = made === before;
      before = made;
      return still;
    },
    { interval: 200 },
  );
  expect(made).toBeLessThan(total / 2);
  let received = 0;
  for await (const event of call as AsyncIterable<{ sequence: bigint }>) {
    received += 1;
    expect(event.sequence).toBe(BigInt(received));
  }
  expect(received).toBe(total);
});

test("a method that nobody implements says so", async () => {
  await start();
  const error = await new Promise<ServiceError>((resolve) => {
    client["GetRun"]!(
      { $typeName: "tribe.v1.GetRunRequest", runId: "0198c0de-0000-7000-8000-000000000000" },
      resolve,
    );
  });
  expect(error).toMatchObject({
    code: status.UNIMPLEMENTED,
    details: "tribe.v1.ChatService.GetRun is not implemented",
  });
  expect(detailsOf(statusFromServiceError(error))["ErrorInfo"]).toMatchObject({
    reason: "UNIMPLEMENTED",
  });
});
