/** What the HTTP door does with requests that nobody should send. */
import { create, toBinary, toJsonString } from "@bufbuild/protobuf";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { ListModelsRequestSchema, SendMessageRequestSchema } from "../../gen/tribe/v1/chat_pb.js";
import { startDoors, type Doors } from "../support/doors.ts";
import { parseResponse, talk } from "../support/raw-http.ts";
import { frame } from "../support/raw-grpc.ts";
import { eventually } from "../support/eventually.ts";

const maxMessageBytes = 100_000;
const unary = "/tribe.v1.ChatService/SendMessage";
const stream = "/tribe.v1.ChatService/StreamMessage";
const json = { "content-type": "application/json" };
const proto = { "content-type": "application/proto" };
const message = (text: string) =>
  create(SendMessageRequestSchema, { content: [{ part: { case: "text", value: text } }] });
const jsonOf = (text: string) => Buffer.from(toJsonString(SendMessageRequestSchema, message(text)));
const protoOf = (text: string) => toBinary(SendMessageRequestSchema, message(text));

let doors: Doors;
beforeAll(async () => {
  doors = await startDoors({ server: { maxMessageBytes, requestTimeoutMs: 1000 } });
});
afterAll(() => doors.close());
beforeEach(() => {
  doors.handled.length = 0;
  doors.log.length = 0;
});

function post(path: string, headers: Record<string, string>, body?: Uint8Array | string) {
  return fetch(doors.httpUrl + path, { method: "POST", headers, body: body ?? null });
}
function withByte(message: Uint8Array, mark: string, byte: number): Buffer {
  const bytes = Buffer.from(message);
  bytes[bytes.indexOf(mark)] = byte;
  return bytes;
}

interface ConnectErrorJson {
  code: string;
  message: string;
  details: { type: string; debug: Record<string, unknown> }[];
}
function debugOf({ details }: ConnectErrorJson): Record<string, unknown> {
  return Object.fromEntries(details.map(({ type, debug }) => [type.split(".").at(-1), debug]));
}

interface BadRequest {
  name: string;
  headers?: Record<string, string>;
  body: Uint8Array | string;
  status?: number;
  code?: string;
  text: string | RegExp;
  field?: string;
}
const tooLarge = "the body is larger than 100000 bytes";
const unaryRequests: BadRequest[] = [
  { name: "text that is no JSON", body: '{"content":', text: /not JSON: it ends too early/ },
  { name: "JSON of another form", body: "[1]", text: /expected an object/ },
  {
    name: "a field of another type",
    body: '{"content":[{"text":5}]}',
    text: /^content\[0\]\.text: /,
    field: "content[0].text",
  },
  { name: "no content", body: "{}", text: /^content: must contain/, field: "content" },
  {
    name: "JSON that is not UTF-8",
    body: withByte(jsonOf("Hel?o"), "?", 0xc3),
    text: /not UTF-8 at byte/,
  },
  {
    name: "half of a surrogate pair",
    body: '{"content":[{"text":"\\ud800"}]}',
    text: /^content\[0\]\.text: expected string/,
    field: "content[0].text",
  },
  {
    name: "the character U+0000",
    body: '{"content":[{"text":"\\u0000"}]}',
    text: /^content\[0\]\.text: must not contain the character U\+0000/,
    field: "content[0].text",
  },
  {
    name: "U+0000 in a JSON schema",
    body: '{"content":[{"text":"a"}],"tools":[{"name":"t","parameters":{"a":["\\u0000"]}}]}',
    text: /^tools\[0\]\.parameters\["a"\]\[0\]: must not contain/,
    field: 'tools[0].parameters["a"][0]',
  },
  {
    name: "bytes that are no protobuf",
    headers: proto,
    body: Buffer.from([0xff, 0xff]),
    text: /not a valid tribe\.v1\.SendMessageRequest/,
  },
  {
    name: "a protobuf string that is not UTF-8",
    headers: proto,
    body: withByte(protoOf("Hel?o"), "?", 0xc3),
    text: "content[0].text: must be valid UTF-8",
    field: "content[0].text",
  },
  {
    name: "a body that is too large",
    body: jsonOf("x".repeat(maxMessageBytes)),
    status: 429,
    code: "resource_exhausted",
    text: tooLarge,
  },
  {
    name: "a body that is too large once it is decompressed",
    headers: { ...json, "content-encoding": "gzip" },
    body: gzipSync(jsonOf("x".repeat(maxMessageBytes))),
    status: 429,
    code: "resource_exhausted",
    text: tooLarge,
  },
  {
    name: "a body that is not compressed as it says",
    headers: { ...json, "content-encoding": "gzip" },
    body: jsonOf("Hello"),
    text: /not valid gzip/,
  },
  {
    name: "a deadline that is not one",
    headers: { ...json, "connect-timeout-ms": "soon" },
    body: jsonOf("Hello"),
    text: /^connect-timeout-ms: must be milliseconds/,
    field: "connect-timeout-ms",
  },
  {
    name: "another version of the protocol",
    headers: { ...json, "connect-protocol-version": "2" },
    body: jsonOf("Hello"),
    text: "connect-protocol-version: must be 1",
    field: "connect-protocol-version",
  },
];

test.each(unaryRequests)(
  "Connect: $name: the code, a clear text and the request id, and no handler is called",
  async ({ headers = json, body, status = 400, code = "invalid_argument", text, field }) => {
    const response = await post(unary, headers, body);
    expect(response.status).toBe(status);
    expect(response.headers.get("content-type")).toBe("application/json");
    const error = (await response.json()) as ConnectErrorJson;
    expect(error.code).toBe(code);
    expect(error.message).toMatch(text);
    const requestId = response.headers.get("x-request-id");
    expect(requestId).toMatch(/^[0-9a-f-]{36}$/);
    expect(debugOf(error)).toMatchObject({
      ErrorInfo: { domain: "tribe" },
      RequestInfo: { requestId },
      ...(field ? { BadRequest: { fieldViolations: [{ field }] } } : {}),
    });
    expect(doors.handled).toEqual([]);
    expect(doors.log).toMatchObject([
      { door: "connect", rpc: unary.slice(1), code: code.toUpperCase(), requestId },
    ]);
  },
);

const streamRequests: BadRequest[] = [
  { name: "no content", body: frame(Buffer.from("{}")), text: /^content: must contain/ },
  {
    name: "text that is no JSON",
    body: frame(Buffer.from("{")),
    text: /not JSON: it ends too early/,
  },
  {
    name: "JSON that is not UTF-8",
    body: frame(withByte(jsonOf("Hel?o"), "?", 0xc3)),
    text: /not UTF-8 at byte/,
  },
  {
    name: "a frame that ends too early",
    body: frame(jsonOf("Hello")).subarray(0, 9),
    text: /incomplete/,
  },
  { name: "no frame", body: jsonOf("Hello"), text: /^the body is not in envelopes: before each/ },
  {
    name: "a message that is too large",
    body: frame(jsonOf("x".repeat(maxMessageBytes))),
    code: "resource_exhausted",
    text: /^the request is larger than \d+ bytes; send less$/,
  },
];
test.each(streamRequests)(
  "Connect stream: $name: the error ends the stream, and no handler is called",
  async ({ body, code, text }) => {
    const response = await post(stream, { "content-type": "application/connect+json" }, body);
    const bytes = Buffer.from(await response.arrayBuffer());
    expect(bytes[0]).toBe(2);
    const { error } = JSON.parse(bytes.subarray(5).toString()) as { error: ConnectErrorJson };
    expect(error.message).toMatch(text);
    expect(error.code).toBe(code ?? "invalid_argument");
    const requestId = response.headers.get("x-request-id");
    expect(debugOf(error)).toMatchObject({ RequestInfo: { requestId } });
    expect(doors.handled).toEqual([]);
    await eventually(() =>
      expect(doors.log).toMatchObject([
        { door: "connect", rpc: stream.slice(1), code: error.code.toUpperCase(), requestId },
      ]),
    );
  },
);

test.each<[name: string, path: string, type: string, body: Uint8Array, text: RegExp]>([
  ["no content", unary, "proto", frame(Buffer.alloc(0)), /^content: must/],
  ["no protobuf", unary, "proto", frame(Buffer.from([0xff])), /not a valid tribe/],
  ["no UTF-8", unary, "json", frame(withByte(jsonOf("a?"), "?", 0xff)), /not UTF-8/],
  ["no content in a stream", stream, "proto", frame(Buffer.alloc(0)), /^content: must/],
  [
    "a string that is not UTF-8",
    stream,
    "proto",
    frame(withByte(protoOf("a?"), "?", 0xff)),
    /^content\[0\]\.text: must be valid UTF-8/,
  ],
  ["half a frame", stream, "proto", frame(protoOf("Hello")).subarray(0, 7), /incomplete/],
  ["no frame", unary, "proto", protoOf("Hello"), /^the body is not in envelopes/],
])(
  "gRPC-Web: %s: the trailers tell, and no handler is called",
  async (_name, path, type, body, text) => {
    const response = await post(path, { "content-type": `application/grpc-web+${type}` }, body);
    const bytes = Buffer.from(await response.arrayBuffer());
    const trailers = new URLSearchParams(
      bytes.subarray(5).toString().trim().replaceAll(": ", "=").replaceAll("\r\n", "&"),
    );
    expect(trailers.get("grpc-status")).toBe("3");
    expect(trailers.get("grpc-message")).toMatch(text);
    expect(doors.handled).toEqual([]);
    const requestId = response.headers.get("x-request-id");
    await eventually(() =>
      expect(doors.log).toMatchObject([
        { door: "grpc-web", rpc: path.slice(1), code: "INVALID_ARGUMENT", requestId },
      ]),
    );
  },
);

interface Refused {
  name: string;
  path: string;
  init: RequestInit;
  status: number;
  code: number;
  text: string | RegExp;
}
test.each<Refused>([
  {
    name: "a path that does not exist",
    path: "/nothing?key=secret",
    init: {},
    status: 404,
    code: 5,
    text: /no GET .*\/nothing/,
  },
  {
    name: "an RPC that does not exist",
    path: "/tribe.v1.ChatService/Nothing",
    init: { method: "POST", headers: json, body: "{}" },
    status: 404,
    code: 5,
    text: /no POST .*ChatService\/Nothing/,
  },
  {
    name: "a method that an RPC does not take",
    path: unary,
    init: { method: "PUT", headers: json, body: "{}" },
    status: 405,
    code: 12,
    text: "this RPC takes POST, not PUT",
  },
  {
    name: "GET for an RPC that changes things",
    path: `${unary}?encoding=json&message={}`,
    init: {},
    status: 405,
    code: 12,
    text: "this RPC takes POST, not GET",
  },
  {
    name: "another content type",
    path: unary,
    init: { method: "POST", headers: { "content-type": "text/plain" }, body: "Hello" },
    status: 415,
    code: 3,
    text: /takes content-type application\/json/,
  },
  {
    name: "no content type",
    path: unary,
    init: { method: "POST", body: Buffer.from("{}") },
    status: 415,
    code: 3,
    text: /takes content-type application\/json/,
  },
  {
    name: "an empty content type",
    path: unary,
    init: { method: "POST", headers: { "content-type": "" }, body: Buffer.from("{}") },
    status: 415,
    code: 3,
    text: "content-type: must say what the body is: application/json",
  },
  {
    name: "REST: a method that a path does not take",
    path: "/api/v1/models",
    init: { method: "POST", headers: json, body: "{}" },
    status: 405,
    code: 12,
    text: /use GET/,
  },
  {
    name: "REST: another content type",
    path: "/api/v1/chat",
    init: { method: "POST", headers: { "content-type": "text/plain" }, body: "Hello" },
    status: 415,
    code: 3,
    text: /send application\/json/,
  },
  {
    name: "REST: an empty content type",
    path: "/api/v1/chat",
    init: { method: "POST", headers: { "content-type": "" }, body: jsonOf("Hello") },
    status: 415,
    code: 3,
    text: "content-type: must be application/json in UTF-8",
  },
  {
    name: "REST: a body that is too large",
    path: "/api/v1/chat",
    init: { method: "POST", headers: json, body: "x".repeat(maxMessageBytes + 1) },
    status: 413,
    code: 8,
    text: tooLarge,
  },
  {
    name: "REST: a body that is no JSON",
    path: "/api/v1/chat",
    init: { method: "POST", headers: json, body: "{" },
    status: 400,
    code: 3,
    text: /not JSON: it ends too early/,
  },
  {
    name: "REST: a body that is not UTF-8",
    path: "/api/v1/chat",
    init: { method: "POST", headers: json, body: withByte(jsonOf("Hel?o"), "?", 0xc3) },
    status: 400,
    code: 3,
    text: /not UTF-8 at byte/,
  },
  {
    name: "REST: no content",
    path: "/api/v1/chat",
    init: { method: "POST", headers: json, body: "{}" },
    status: 400,
    code: 3,
    text: /^content: must contain/,
  },
  {
    name: "REST: the character U+0000",
    path: "/api/v1/chat",
    init: { method: "POST", headers: json, body: '{"content":[{"text":"\\u0000"}]}' },
    status: 400,
    code: 3,
    text: /^content\[0\]\.text: must not contain the character U\+0000/,
  },
  {
    name: "a path that is not one",
    path: "/%zz",
    init: {},
    status: 400,
    code: 3,
    text: /malformed percent-encoding/,
  },
])("$name: google.rpc.Status with the request id", async ({ path, init, status, code, text }) => {
  const response = await fetch(doors.httpUrl + path, init);
  expect(response.status).toBe(status);
  expect(response.headers.get("content-type")).toMatch(/^application\/json/);
  const body = (await response.json()) as { code: number; message: string; details: object[] };
  expect(body.code).toBe(code);
  expect(body.message).toMatch(text);
  const requestId = response.headers.get("x-request-id");
  expect(body.details).toContainEqual({
    "@type": "type.googleapis.com/google.rpc.RequestInfo",
    requestId,
  });
  expect(doors.handled).toEqual([]);
  await eventually(() => expect(doors.log).toMatchObject([{ requestId }]));
  expect(JSON.stringify(doors.log)).not.toContain("secret");
});

test("GET reads JSON, base64 and compressed messages", async () => {
  const path = `${doors.httpUrl}/tribe.v1.ChatService/ListModels?connect=v1`;
  const bytes = toBinary(ListModelsRequestSchema, create(ListModelsRequestSchema, { pageSize: 5 }));
  for (const query of [
    `encoding=json&message=${encodeURIComponent('{"pageSize":5}')}`,
    `encoding=proto&base64=1&message=${Buffer.from(bytes).toString("base64url")}`,
    `encoding=proto&base64=1&compression=gzip&message=${gzipSync(bytes).toString("base64url")}`,
    `encoding=proto&base64=1&compression=br&message=${brotliCompressSync(bytes).toString("base64url")}`,
  ]) {
    const response = await fetch(`${path}&${query}`);
    expect(response.status).toBe(200);
  }
  expect(doors.handled).toEqual(Array.from({ length: 4 }, () => "ListModels"));
  const wrong = await fetch(`${path}&encoding=json&message={"pageSize":500}`);
  expect(await wrong.json()).toMatchObject({
    code: "invalid_argument",
    message: expect.stringMatching(/^pageSize: /) as string,
  });
});

test.each([
  ["", "encoding", "must be json or proto"],
  ["encoding=xml&message={}", "encoding", "must be json or proto"],
  ["encoding=json", "message", "must be the request message"],
  ["encoding=json&message=", "message", "is not JSON: it ends too early at line 1, column 1"],
  ["encoding=json&message={", "message", "is not JSON: it ends too early at line 1, column 2"],
  ["encoding=json&base64=1&message=*", "message", "must be base64"],
  ["encoding=json&base64=1&message=_w", "message", "is not UTF-8 at byte 0"],
  ["encoding=json&compression=gzip&message={}", "message", "must be gzip"],
  ['encoding=json&message={"pageSize":"x"}', "pageSize", ""],
  ['encoding=json&message={"pageSize":1,"pageSize":2}', "pageSize", "is given twice"],
])("GET with ?%s names the parameter", async (query, field, description) => {
  const path = `${doors.httpUrl}/tribe.v1.ChatService/ListModels?connect=v1&${query}`;
  const error = (await (await fetch(path)).json()) as ConnectErrorJson;
  expect(error.code).toBe("invalid_argument");
  expect(error.message.startsWith(`${field}: ${description}`)).toBe(true);
  expect(debugOf(error)["BadRequest"]).toMatchObject({ fieldViolations: [{ field }] });
});

test("a response is compressed for callers that take it", async () => {
  const response = await post(unary, { ...json, "accept-encoding": "br" }, jsonOf("Hello"));
  expect(response.headers.get("content-encoding")).toBeNull();
  const long = { content: [{ text: "a" }], model: "m".repeat(256) };
  const large = await post(
    unary,
    { ...json, "accept-encoding": "gzip" },
    JSON.stringify({ ...long, metadata: { answer: "long" } }),
  );
  expect(await large.json()).toMatchObject({ model: "m".repeat(256) });
});

test("what is not HTTP, and headers that are too large", async () => {
  const garbage = parseResponse(await talk(doors.httpUrl, "HELLO\r\n\r\n"));
  expect(garbage.status).toBe(400);
  expect(JSON.parse(garbage.body)).toMatchObject({
    code: 3,
    message: "this is not a valid HTTP/1.1 request",
  });
  expect(garbage.body).toContain(String(garbage.headers.get("x-request-id")));
  const head = `GET /health HTTP/1.1\r\nhost: x\r\nx-long: ${"x".repeat(40_000)}\r\n\r\n`;
  expect(parseResponse(await talk(doors.httpUrl, head)).status).toBe(431);
});

test("a request that arrives too slowly is ended", async () => {
  const half = `POST ${unary} HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 100\r\n\r\n{`;
  const slow = parseResponse(await talk(doors.httpUrl, half));
  expect(slow.status).toBe(408);
  expect(doors.handled).toEqual([]);
  const headers = parseResponse(await talk(doors.httpUrl, "GET /health HTTP/1.1\r\nhost: x\r\n"));
  expect(headers.status).toBe(408);
});
