/** What the gRPC door does with requests that nobody should send. */
import { create, toBinary } from "@bufbuild/protobuf";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { SendMessageRequestSchema } from "../../gen/tribe/v1/chat_pb.js";
import { startDoors, type Doors } from "../support/doors.ts";
import { detailsOf } from "../support/error-details.ts";
import { callRaw, frame, statusOf, type RawResponse } from "../support/raw-grpc.ts";

const path = "/tribe.v1.ChatService/SendMessage";
const maxMessageBytes = 100_000;
const message = (text: string) =>
  toBinary(
    SendMessageRequestSchema,
    create(SendMessageRequestSchema, { content: [{ part: { case: "text", value: text } }] }),
  );

let doors: Doors;
beforeAll(async () => {
  doors = await startDoors({ server: { maxMessageBytes } });
});
afterAll(() => doors.close());
beforeEach(() => {
  doors.handled.length = 0;
  doors.log.length = 0;
});

interface Refusal {
  code: number;
  name: string;
  text: string | RegExp;
  field?: string;
}

/** The code, a clear text, details with the request id, one log line, and no handler called. */
function expectRefused(response: RawResponse, { code, name, text, field }: Refusal): void {
  expect(response.trailers["grpc-status"]).toBe(String(code));
  const status = statusOf(response);
  expect(status.code).toBe(code);
  if (typeof text === "string") expect(status.message).toBe(text);
  else expect(status.message).toMatch(text);
  const details = detailsOf(status);
  const requestId = response.headers["x-request-id"];
  expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
  expect(details["RequestInfo"]).toEqual({ requestId });
  expect(details["ErrorInfo"]).toMatchObject({ domain: "tribe" });
  if (field) expect(details["BadRequest"]).toMatchObject({ fieldViolations: [{ field }] });
  expect(doors.handled).toEqual([]);
  expect(doors.log).toMatchObject([{ door: "grpc", rpc: path.slice(1), code: name, requestId }]);
}

test("a whole request is answered with the request id that the caller gave", async () => {
  const response = await callRaw(doors.grpcAddress, path, frame(message("Hello")), {
    "x-request-id": "mine-1",
  });
  expect(response.trailers["grpc-status"]).toBe("0");
  expect(response.headers["x-request-id"]).toBe("mine-1");
  expect(doors.log).toMatchObject([{ door: "grpc", code: "OK", requestId: "mine-1" }]);
});

test.each([["has spaces"], ["x".repeat(129)]])("an unfit request id is replaced", async (id) => {
  const response = await callRaw(doors.grpcAddress, path, frame(message("Hello")), {
    "x-request-id": id,
  });
  expect(response.headers["x-request-id"]).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7/);
});

test("bytes that are no protobuf", async () => {
  const response = await callRaw(doors.grpcAddress, path, frame(Buffer.from([0xff, 0xff, 0xff])));
  expectRefused(response, {
    code: 3,
    name: "INVALID_ARGUMENT",
    text: /^the request is not a valid tribe\.v1\.SendMessageRequest: /,
  });
});

test("a string that is not UTF-8 is named", async () => {
  const bytes = Buffer.from(message("Hel?o, hello"));
  bytes[bytes.indexOf("?")] = 0xc3;
  const response = await callRaw(doors.grpcAddress, path, frame(bytes));
  expectRefused(response, {
    code: 3,
    name: "INVALID_ARGUMENT",
    text: "content[0].text: must be valid UTF-8",
    field: "content[0].text",
  });
});

test("a map's value that is not UTF-8 is named", async () => {
  const bytes = Buffer.from(
    toBinary(
      SendMessageRequestSchema,
      create(SendMessageRequestSchema, {
        content: [{ part: { case: "text", value: "Hello" } }],
        metadata: { color: "gr?y" },
      }),
    ),
  );
  bytes[bytes.indexOf("?")] = 0xff;
  const response = await callRaw(doors.grpcAddress, path, frame(bytes));
  expectRefused(response, {
    code: 3,
    name: "INVALID_ARGUMENT",
    text: 'metadata["color"]: must be valid UTF-8',
    field: 'metadata["color"]',
  });
});

test("the character U+0000 is named", async () => {
  const response = await callRaw(doors.grpcAddress, path, frame(message("Hel\0lo")));
  expectRefused(response, {
    code: 3,
    name: "INVALID_ARGUMENT",
    text: /^content\[0\]\.text: must not contain the character U\+0000/,
    field: "content[0].text",
  });
});

test("a broken rule is named", async () => {
  const response = await callRaw(doors.grpcAddress, path, frame(Buffer.alloc(0)));
  expectRefused(response, {
    code: 3,
    name: "INVALID_ARGUMENT",
    text: /^content: /,
    field: "content",
  });
});

test("a message that is too large", async () => {
  const response = await callRaw(doors.grpcAddress, path, frame(message("x".repeat(100_001))));
  expectRefused(response, {
    code: 8,
    name: "RESOURCE_EXHAUSTED",
    text: "the request is larger than 100000 bytes; send less",
  });
});

test("a message that is too large once it is decompressed", async () => {
  const body = frame(gzipSync(message("x".repeat(100_001))), 1);
  const response = await callRaw(doors.grpcAddress, path, body, { "grpc-encoding": "gzip" });
  expectRefused(response, {
    code: 8,
    name: "RESOURCE_EXHAUSTED",
    text: "the request is larger than 100000 bytes; send less",
  });
});

test("a compressed message", async () => {
  const body = frame(gzipSync(message("Hello")), 1);
  const response = await callRaw(doors.grpcAddress, path, body, { "grpc-encoding": "gzip" });
  expect(response.trailers["grpc-status"]).toBe("0");
  expect(doors.handled).toEqual(["SendMessage"]);
});

test("a message that is not compressed as it says", async () => {
  const body = frame(message("Hello"), 1);
  const response = await callRaw(doors.grpcAddress, path, body, { "grpc-encoding": "gzip" });
  expectRefused(response, {
    code: 3,
    name: "INVALID_ARGUMENT",
    text: "the request is not compressed as its grpc-encoding says",
  });
});

test("an encoding that is not known", async () => {
  const body = frame(message("Hello"), 1);
  const response = await callRaw(doors.grpcAddress, path, body, { "grpc-encoding": "zstd" });
  expectRefused(response, { code: 12, name: "UNIMPLEMENTED", text: /zstd/ });
});

test("a frame that ends too early", async () => {
  const response = await callRaw(doors.grpcAddress, path, frame(message("Hello")).subarray(0, 9));
  expectRefused(response, {
    code: 3,
    name: "INVALID_ARGUMENT",
    text: "no whole request message was sent",
  });
});

test("two messages where one is expected", async () => {
  const body = Buffer.concat([frame(message("Hello")), frame(message("again"))]);
  const response = await callRaw(doors.grpcAddress, path, body);
  expectRefused(response, {
    code: 12,
    name: "UNIMPLEMENTED",
    text: "more than one request was sent",
  });
});

test("a deadline that is not one", async () => {
  const response = await callRaw(doors.grpcAddress, path, frame(message("Hello")), {
    "grpc-timeout": "soon",
  });
  expectRefused(response, { code: 3, name: "INVALID_ARGUMENT", text: /grpc-timeout.*"soon"/ });
});

test.each(["720H", "99999999H", "2592000S"])("a deadline of %s is not over", async (timeout) => {
  const response = await callRaw(doors.grpcAddress, path, frame(message("Hello")), {
    "grpc-timeout": timeout,
  });
  expect(response.trailers["grpc-status"]).toBe("0");
});

test.each(["/tribe.v1.ChatService/Nothing", "/no.such.Service/Method"])(
  "%s does not exist",
  async (unknown) => {
    const response = await callRaw(doors.grpcAddress, unknown, frame(Buffer.alloc(0)));
    expect(response.trailers["grpc-status"]).toBe("12");
    const status = statusOf(response);
    expect(status.message).toBe(`${unknown.slice(1)} does not exist`);
    const requestId = response.headers["x-request-id"];
    expect(detailsOf(status)["RequestInfo"]).toEqual({ requestId });
    expect(doors.log).toMatchObject([
      { door: "grpc", rpc: unknown.slice(1), code: "UNIMPLEMENTED", requestId },
    ]);
  },
);

test("a content type that is not gRPC's", async () => {
  const response = await callRaw(doors.grpcAddress, path, Buffer.from("{}"), {
    "content-type": "application/json",
  });
  expect(response.headers[":status"]).toBe(415);
  expect(response.body.toString()).toContain("application/grpc");
  const requestId = response.headers["x-request-id"];
  expect(doors.log).toMatchObject([{ door: "grpc", code: "INVALID_ARGUMENT", requestId }]);
  expect(doors.handled).toEqual([]);
});
