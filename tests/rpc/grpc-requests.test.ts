/** What the gRPC door does with requests that nobody should send. */
import { create, toBinary } from "@bufbuild/protobuf";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { SendMessageRequestSchema } from "../../gen/tribe/v1/chat_pb.js";
import { startDoors, type Doors } from "../support/doors.ts";
import { detailsOf } from "../support/error-details.ts";
import { callRaw, frame, statusOf } from "../support/raw-grpc.ts";

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

function withByte(message: Uint8Array, mark: string, byte: number): Buffer {
  const bytes = Buffer.from(message);
  bytes[bytes.indexOf(mark)] = byte;
  return bytes;
}
const withMetadata = toBinary(
  SendMessageRequestSchema,
  create(SendMessageRequestSchema, {
    content: [{ part: { case: "text", value: "Hello" } }],
    metadata: { color: "gr?y" },
  }),
);
const gzip = { "grpc-encoding": "gzip" };
const tooLarge = "the request is larger than 100000 bytes; send less";

interface BadRequest {
  name: string;
  body: Uint8Array;
  headers?: Record<string, string>;
  code?: number;
  codeName?: string;
  text: string | RegExp;
  /** What the details name. */
  field?: string;
}
const badRequests: BadRequest[] = [
  {
    name: "bytes that are no protobuf",
    body: frame(Buffer.from([0xff, 0xff, 0xff])),
    text: /^the request is not a valid tribe\.v1\.SendMessageRequest: /,
  },
  {
    name: "a string that is not UTF-8",
    body: frame(withByte(message("Hel?o"), "?", 0xc3)),
    text: "content[0].text: must be valid UTF-8",
    field: "content[0].text",
  },
  {
    name: "a map's value that is not UTF-8",
    body: frame(withByte(withMetadata, "?", 0xff)),
    text: 'metadata["color"]: must be valid UTF-8',
    field: 'metadata["color"]',
  },
  {
    name: "the character U+0000",
    body: frame(message("Hel\0lo")),
    text: /^content\[0\]\.text: must not contain the character U\+0000/,
    field: "content[0].text",
  },
  {
    name: "a broken rule",
    body: frame(Buffer.alloc(0)),
    text: /^content: must contain at least 1 item/,
    field: "content",
  },
  {
    name: "a message that is too large",
    body: frame(message("x".repeat(maxMessageBytes))),
    code: 8,
    codeName: "RESOURCE_EXHAUSTED",
    text: tooLarge,
  },
  {
    name: "a message that is too large once it is decompressed",
    body: frame(gzipSync(message("x".repeat(maxMessageBytes))), 1),
    headers: gzip,
    code: 8,
    codeName: "RESOURCE_EXHAUSTED",
    text: tooLarge,
  },
  {
    name: "a message that is not compressed as it says",
    body: frame(message("Hello"), 1),
    headers: gzip,
    text: "the request is not compressed as its grpc-encoding says",
  },
  {
    name: "an encoding that is not known",
    body: frame(message("Hello"), 1),
    headers: { "grpc-encoding": "zstd" },
    code: 12,
    codeName: "UNIMPLEMENTED",
    text: /zstd/,
  },
  {
    name: "a frame that ends too early",
    body: frame(message("Hello")).subarray(0, 9),
    text: "no whole request message was sent",
  },
  {
    name: "two messages where one is expected",
    body: Buffer.concat([frame(message("Hello")), frame(message("again"))]),
    code: 12,
    codeName: "UNIMPLEMENTED",
    text: "more than one request was sent",
  },
  {
    name: "a deadline that is not one",
    body: frame(message("Hello")),
    headers: { "grpc-timeout": "soon" },
    text: /grpc-timeout.*"soon"/,
  },
];

test.each(badRequests)(
  "$name: the code, a clear text and the request id, and no handler is called",
  async ({ body, headers, code = 3, codeName = "INVALID_ARGUMENT", text, field }) => {
    const response = await callRaw(doors.grpcAddress, path, body, headers);
    expect(response.trailers["grpc-status"]).toBe(String(code));
    const { message, ...status } = statusOf(response);
    expect(status).toMatchObject({ code });
    expect(message).toMatch(text);
    const requestId = response.headers["x-request-id"];
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(detailsOf(statusOf(response))).toMatchObject({
      ErrorInfo: { domain: "tribe" },
      RequestInfo: { requestId },
      ...(field ? { BadRequest: { fieldViolations: [{ field }] } } : {}),
    });
    expect(doors.handled).toEqual([]);
    expect(doors.log).toMatchObject([
      { door: "grpc", rpc: path.slice(1), code: codeName, requestId },
    ]);
  },
);

test("a compressed message", async () => {
  const body = frame(gzipSync(message("Hello")), 1);
  const response = await callRaw(doors.grpcAddress, path, body, gzip);
  expect(response.trailers["grpc-status"]).toBe("0");
  expect(doors.handled).toEqual(["SendMessage"]);
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
