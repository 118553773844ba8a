import { brotliCompressSync, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { recordCalls } from "./support/echo.ts";
import { compileProto, serviceOf } from "./support/proto.ts";
import { startRest, type TestServer, type WireRequest } from "./support/server.ts";

const maxRequestBytes = 10_000;

const accepted: [request: string, rpc: string, message: object][] = [
  // The whole message.
  ['POST /v1/all {"text":"a","number":1}', "All", { text: "a", number: 1 }],
  ['POST /v1/all {"snake_case":"a"}', "All", { snakeCase: "a" }],
  ["POST /v1/all", "All", {}],
  ["POST /v1/all {}", "All", {}],
  ['POST /v1/all {"text":null,"leaf":null}', "All", {}],
  [
    'POST /v1/all {"big":"9007199254740993","color":"COLOR_RED"}',
    "All",
    { big: "9007199254740993", color: "COLOR_RED" },
  ],
  ['POST /v1/all {"color":1,"raw":"_-8"}', "All", { color: "COLOR_RED", raw: "/+8=" }],
  [
    'POST /v1/all {"struct":{"a":[1,null]},"value":null}',
    "All",
    { struct: { a: [1, null] }, value: null },
  ],
  [
    'POST /v1/all {"any":{"@type":"type.googleapis.com/test.v1.Leaf","name":"a"}}',
    "All",
    { any: { "@type": "type.googleapis.com/test.v1.Leaf", name: "a" } },
  ],
  [
    'POST /v1/all {"labels":{"a":"b"},"leaves":[{"name":"c"}]}',
    "All",
    { labels: { a: "b" }, leaves: [{ name: "c" }] },
  ],
  // Integers of 64 bits, as strings or numbers, exactly.
  ['POST /v1/all {"big":9007199254740993}', "All", { big: "9007199254740993" }],
  [
    'POST /v1/all {"bigs":[-9223372036854775808,1]}',
    "All",
    { bigs: ["-9223372036854775808", "1"] },
  ],
  [
    'POST /v1/all {"bigMap":{"a":9007199254740993,"__proto__":1},"bigWrapped":9007199254740993}',
    "All",
    JSON.parse(
      '{"bigMap":{"a":"9007199254740993","__proto__":"1"},"bigWrapped":"9007199254740993"}',
    ),
  ],
  [
    'POST /v1/all {"double":9007199254740993,"value":[9007199254740993,{"a":12345678901234567890}]}',
    "All",
    { double: 9007199254740992, value: [9007199254740992, { a: 12345678901234567000 }] },
  ],
  [
    'POST /v1/all {"double":1e30,"value":[1e300,{"a":"x:y"}],"text":"\\":{\\\\"}',
    "All",
    { double: 1e30, value: [1e300, { a: "x:y" }], text: '":{\\' },
  ],
  // The path always wins.
  ['POST /v1/all/x {"text":"y","number":1}', "AllIn", { text: "x", number: 1 }],
  ["POST /v1/all/x", "AllIn", { text: "x" }],
  ['PATCH /v1/leaf/x {"name":"y","number":2}', "LeafIn", { leaf: { name: "x", number: 2 } }],
  ["PATCH /v1/leaf/x", "LeafIn", { leaf: { name: "x" } }],
  ['PUT /v1/choice/x {"choiceNumber":1}', "ChoiceIn", { choiceText: "x" }],
  // One field.
  ['POST /v1/leaf {"name":"a"}', "Leaf", { leaf: { name: "a" } }],
  ["POST /v1/leaf {}", "Leaf", { leaf: {} }],
  ["POST /v1/leaf", "Leaf", {}],
  ["POST /v1/leaf null", "Leaf", {}],
  ['POST /v1/leaves [{"name":"a"},{}]', "Leaves", { leaves: [{ name: "a" }, {}] }],
  ['POST /v1/labels {"a":"b"}', "Labels", { labels: { a: "b" } }],
  ['POST /v1/text "a"', "Text", { text: "a" }],
  ["POST /v1/number 7", "Number", { number: 7 }],
  ["POST /v1/value [1]", "Value", { value: [1] }],
  ["POST /v1/value null", "Value", { value: null }],
  // No body.
  ["POST /v1/none", "None", {}],
  ["POST /v1/none {}", "None", {}],
  ["POST /v1/none  { } ", "None", {}],
  ["DELETE /v1/none {}", "DeleteNone", {}],
  ["GET /v1/none {}", "GetNone", {}],
];

const malformed: [request: string, message: string][] = [
  ["POST /v1/all {", "the body is not JSON: it ends too early at line 1, column 2"],
  ["POST /v1/all [", "the body is not JSON: it ends too early at line 1, column 2"],
  ['POST /v1/all {"text":"a}', "the body is not JSON: it ends too early at line 1, column 12"],
  ['POST /v1/all {"text":"a",}', 'the body is not JSON: unexpected "}" at line 1, column 13'],
  ['POST /v1/all {"text":"a"}}', 'the body is not JSON: unexpected "}" at line 1, column 13'],
  ['POST /v1/all {"text" "a"}', 'the body is not JSON: unexpected "\\"" at line 1, column 9'],
  ["POST /v1/all {text:1}", 'the body is not JSON: unexpected "t" at line 1, column 2'],
  ["POST /v1/all {'text':1}", 'the body is not JSON: unexpected "\'" at line 1, column 2'],
  ['POST /v1/all {"number":01}', 'the body is not JSON: unexpected "0" at line 1, column 11'],
  ['POST /v1/all {"number":tru}', 'the body is not JSON: unexpected "}" at line 1, column 14'],
  ['POST /v1/all {"number":NaN}', 'the body is not JSON: unexpected "N" at line 1, column 11'],
  ['POST /v1/all {"text":"\\x"}', 'the body is not JSON: unexpected "\\\\" at line 1, column 10'],
  ['POST /v1/all {"text":"a\tb"}', 'the body is not JSON: unexpected "\\t" at line 1, column 11'],
  ['POST /v1/all {\n "number": 1,\n "text": €\n}', 'unexpected "€" at line 3, column 10'],
  ["POST /v1/all   ", "the body is not JSON: it ends too early at line 1, column 3"],
  ["POST /v1/leaves [1 2]", 'the body is not JSON: unexpected "2" at line 1, column 4'],
  ["POST /v1/leaves [1,]", 'the body is not JSON: unexpected "]" at line 1, column 4'],
];

/** Bodies that are JSON but do not fit: the path is in JSON names. */
const unfit: [request: string, field: string, description: string][] = [
  ['POST /v1/all {"txt":"a"}', "txt", 'unknown field "txt": Request takes text, number, '],
  ['POST /v1/all {"leaf":{"nme":"a"}}', "leaf.nme", 'unknown field "nme": Leaf takes name, number'],
  ['POST /v1/all {"leaves":[{},{"x":1}]}', "leaves[1].x", 'unknown field "x"'],
  ['POST /v1/all {"leafMap":{"a b":{"x":1}}}', 'leafMap["a b"].x', 'unknown field "x"'],
  ['POST /v1/all {"[test.v1.extension]":1}', "[test.v1.extension]", "unknown field"],
  ['POST /v1/all {"__proto__":1}', "__proto__", "unknown field"],
  [
    'POST /v1/all {"color":"RED"}',
    "color",
    'unknown value "RED": expected one of COLOR_UNSPECIFIED',
  ],
  ['POST /v1/all {"colors":["COLOR_RED","RED"]}', "colors[1]", 'unknown value "RED"'],
  ['POST /v1/all {"colorMap":{"a":"RED"}}', 'colorMap["a"]', ""],
  ['POST /v1/all {"text":1}', "text", "expected string, got 1"],
  ['POST /v1/all {"number":"x"}', "number", ""],
  ['POST /v1/all {"number":1.5}', "number", ""],
  ['POST /v1/all {"number":2147483648}', "number", ""],
  ['POST /v1/all {"big":9223372036854775808}', "big", ""],
  ['POST /v1/all {"number":9007199254740993}', "number", ""],
  ['POST /v1/all {"text":9007199254740993}', "text", ""],
  ['POST /v1/all {"raw":"*"}', "raw", ""],
  ['POST /v1/all {"leaf":[]}', "leaf", "expected an object with name, number, leaf, got an array"],
  [
    'POST /v1/all {"leaf":"x"}',
    "leaf",
    'expected an object with name, number, leaf, got the string "x"',
  ],
  [
    'POST /v1/all {"leaves":{}}',
    "leaves",
    "expected an array of objects with name, number, leaf, got an object",
  ],
  ['POST /v1/all {"leaves":[null]}', "leaves[0]", ""],
  ['POST /v1/all {"colors":[null]}', "colors[0]", ""],
  ['POST /v1/all {"labels":[]}', "labels", "expected an object, got an array"],
  ['POST /v1/all {"labels":{"a":1}}', 'labels["a"]', "expected string, got 1"],
  ['POST /v1/all {"numbered":{"x":"a"}}', 'numbered["x"]', ""],
  ['POST /v1/all {"time":"yesterday"}', "time", "invalid RFC 3339 string"],
  ['POST /v1/all {"duration":"1.0000000001s"}', "duration", ""],
  ['POST /v1/all {"mask":"a_b"}', "mask", "path names must be lowerCamelCase"],
  ['POST /v1/all {"any":{"@type":"x/unknown.Type"}}', "any", "not in the type registry"],
  ['POST /v1/all {"any":{"@type":"x/test.v1.Leaf","x":1}}', "any", 'key "x" is unknown'],
  [
    'POST /v1/all {"snakeCase":"a","snake_case":"b"}',
    "snake_case",
    'cannot be given together with "snakeCase"',
  ],
  [
    'POST /v1/all {"choiceText":"a","choiceNumber":1}',
    "choiceNumber",
    'cannot be given together with "choiceText"',
  ],
  // A member that is given twice, of which JSON.parse would take the last.
  ['POST /v1/all {"text":"a","text":"b"}', "text", "is given twice"],
  ['POST /v1/all {"text":"a","text":null}', "text", "is given twice"],
  ['POST /v1/all {"text":"a:b","te\\u0078t":"a:b"}', "text", "is given twice"],
  ['POST /v1/all {"leaves":[{},{"name":"\\\\","name":"\\""}]}', "leaves[1].name", "is given twice"],
  ['POST /v1/all {"leaf":{},"text":":","leaf":{}}', "leaf", "is given twice"],
  ['POST /v1/all {"labels":{"a":"b","a":"c"}}', "labels.a", "is given twice"],
  ['POST /v1/all {"struct":{"a":[1,[{"b":1,"b":2}]]}}', "struct.a[1][0].b", "is given twice"],
  ['POST /v1/leaf {"name":"a","name":"b"}', "leaf.name", "is given twice"],
  [
    `POST /v1/value ${"[".repeat(300)}{"a":1,"a":2}${"]".repeat(300)}`,
    `value${"[0]".repeat(300)}.a`,
    "is given twice",
  ],
  // Numbers that could be read, but never be written again.
  ['POST /v1/all {"value":1e999}', "value", "the number is too great"],
  ['POST /v1/all {"value":[{"a":-1E+999}]}', "value[0].a", "the number is too great"],
  [`POST /v1/all {"struct":{"a":${"9".repeat(400)}}}`, "struct.a", "the number is too great"],
  ['POST /v1/all {"double":1e999}', "double", "the number is too great"],
  [`POST /v1/value ${"[".repeat(4_900)}1e999${"]".repeat(4_900)}`, "", "nested too deeply"],
  ["POST /v1/all []", "", "got an array"],
  ["POST /v1/all null", "", "got null"],
  ['POST /v1/leaf {"x":1}', "leaf.x", 'unknown field "x"'],
  ["POST /v1/leaf 1", "leaf", "expected an object with name, number, leaf, got the number"],
  ["POST /v1/number true", "number", ""],
  [
    `POST /v1/all ${'{"leaf":{"leaf":'.repeat(1)}${'{"leaf":'.repeat(150)}1${"}".repeat(152)}`,
    "leaf.",
    "levels deep",
  ],
  [`POST /v1/value ${"[".repeat(150)}${"]".repeat(150)}`, "value", "recursion depth"],
  ["POST /v1/none 1", "", "this request takes no body"],
  ['POST /v1/none {"text":"a"}', "", "this request takes no body"],
  ["DELETE /v1/none []", "", "this request takes no body"],
  ['GET /v1/none {"text":"a"}', "", "this request takes no body"],
];

let server: TestServer;
let recorder: ReturnType<typeof recordCalls>;

beforeAll(async () => {
  const registry = compileProto(`
    message Leaf { string name = 1; int32 number = 2; Leaf leaf = 3; }
    enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; }
    message Request {
      string text = 1; int32 number = 2; string snake_case = 3; int64 big = 4; Color color = 5;
      bytes raw = 6; Leaf leaf = 7; repeated Leaf leaves = 8; map<string, string> labels = 9;
      map<int32, string> numbered = 10; map<string, Leaf> leaf_map = 11;
      map<string, Color> color_map = 12; repeated Color colors = 13;
      google.protobuf.Struct struct = 20; google.protobuf.Value value = 21;
      google.protobuf.Any any = 22; google.protobuf.Timestamp time = 23;
      google.protobuf.Duration duration = 24; google.protobuf.FieldMask mask = 25;
      oneof choice { string choice_text = 30; int32 choice_number = 31; }
      google.api.HttpBody file = 40; repeated int64 bigs = 41; map<string, int64> big_map = 42;
      google.protobuf.Int64Value big_wrapped = 43; double double = 44;
    }
    service TestService {
      rpc All(Request) returns (Request) { option (google.api.http) = {post: "/v1/all" body: "*"}; }
      rpc AllIn(Request) returns (Request) {
        option (google.api.http) = {post: "/v1/all/{text}" body: "*"};
      }
      rpc LeafIn(Request) returns (Request) {
        option (google.api.http) = {patch: "/v1/leaf/{leaf.name}" body: "leaf"};
      }
      rpc ChoiceIn(Request) returns (Request) {
        option (google.api.http) = {put: "/v1/choice/{choice_text}" body: "*"};
      }
      rpc Leaf(Request) returns (Request) { option (google.api.http) = {post: "/v1/leaf" body: "leaf"}; }
      rpc Leaves(Request) returns (Request) {
        option (google.api.http) = {post: "/v1/leaves" body: "leaves"};
      }
      rpc Labels(Request) returns (Request) {
        option (google.api.http) = {post: "/v1/labels" body: "labels"};
      }
      rpc Text(Request) returns (Request) { option (google.api.http) = {post: "/v1/text" body: "text"}; }
      rpc Number(Request) returns (Request) {
        option (google.api.http) = {post: "/v1/number" body: "number"};
      }
      rpc Value(Request) returns (Request) {
        option (google.api.http) = {post: "/v1/value" body: "value"};
      }
      rpc None(Request) returns (Request) { option (google.api.http) = {post: "/v1/none"}; }
      rpc DeleteNone(Request) returns (Request) { option (google.api.http) = {delete: "/v1/none"}; }
      rpc GetNone(Request) returns (Request) { option (google.api.http) = {get: "/v1/none"}; }
      rpc File(Request) returns (Request) {
        option (google.api.http) = {put: "/v1/files/{text}" body: "file"};
      }
      rpc Raw(google.api.HttpBody) returns (Request) {
        option (google.api.http) = {post: "/v1/raw" body: "*"};
      }
    }`);
  recorder = recordCalls(serviceOf(registry), registry);
  server = await startRest({ routes: recorder.routes, registry, maxRequestBytes });
});
afterAll(() => server.close());
beforeEach(() => {
  recorder.calls.length = 0;
});

interface BadRequest {
  "@type": string;
  fieldViolations: [{ field?: string; description: string }];
}

/** Matches a whole path, or the start of one that ends in a dot. */
function fieldPattern(path: string): RegExp {
  const escaped = RegExp.escape(path);
  return new RegExp(path.endsWith(".") ? `^${escaped}` : `^${escaped}$`);
}

/** A POST of JSON that is not written as text. */
function post(body: Uint8Array | string, headers: Record<string, string> = {}): WireRequest {
  const type = { "content-type": "application/json" };
  return { method: "POST", path: "/v1/all", headers: { ...type, ...headers }, body };
}

describe("body", () => {
  it.each(accepted)("%s is taken", async (request, rpc, message) => {
    const response = await server.send(request);
    expect(recorder.calls).toEqual([{ rpc, message }]);
    expect(response.status).toBe(200);
  });

  it.each(malformed)("%s says where it breaks", async (request, message) => {
    const response = await server.send(request);
    expect(response.json).toMatchObject({ code: 3, message: expect.stringContaining(message) });
    expect(response.status).toBe(400);
    expect(recorder.calls).toEqual([]);
  });

  it.each(unfit)("%s names the field", async (request, field, description) => {
    const response = await server.send(request);
    expect(response.status).toBe(400);
    const { code, details } = response.json as { code: number; details: [BadRequest] };
    expect(code).toBe(3);
    expect(details[0]["@type"]).toBe("type.googleapis.com/google.rpc.BadRequest");
    const [violation] = details[0].fieldViolations;
    expect(violation.field ?? "").toMatch(fieldPattern(field));
    expect(violation.description).toContain(description);
    expect(recorder.calls).toEqual([]);
  });

  it("survives nesting that is deeper than any stack", async () => {
    const body = "[".repeat(4_990) + "]".repeat(4_990);
    for (const path of ["/v1/all", "/v1/value", "/v1/leaves"]) {
      const response = await server.send({ ...post(body), path });
      expect(response.status).toBe(400);
    }
  });

  it.each([
    [Buffer.from([0x22, 0xff, 0x22]), 1],
    [Buffer.from([0x22, 0x61, 0xc3, 0x28, 0x22]), 2],
    [Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22]), 1],
    [Buffer.from([0x22, 0xe2, 0x82, 0xac, 0xe2, 0x82]), 4],
  ])("says where %o is not UTF-8", async (bytes, offset) => {
    const response = await server.send(post(bytes));
    expect(response.json).toMatchObject({
      code: 3,
      message: `the body is not UTF-8 at byte ${offset}`,
    });
  });

  it("takes a body in chunks", async () => {
    const response = await server.send({
      ...post('{"text":"€"}'),
      headers: { "content-type": "application/json", "transfer-encoding": "chunked" },
    });
    expect(recorder.calls).toEqual([{ rpc: "All", message: { text: "€" } }]);
    expect(response.status).toBe(200);
  });
});

describe("content type", () => {
  it.each([
    "application/json",
    "application/json; charset=utf-8",
    "Application/JSON;charset=UTF8",
    'application/json; charset="utf-8"',
    "application/merge-patch+json",
    "text/json",
  ])("%s is taken", async (type) => {
    const response = await server.send(post('{"text":"a"}', { "content-type": type }));
    expect(response.status).toBe(200);
  });

  it("may be left out", async () => {
    const response = await server.send({ method: "POST", path: "/v1/all", body: '{"text":"a"}' });
    expect(recorder.calls).toEqual([{ rpc: "All", message: { text: "a" } }]);
    expect(response.status).toBe(200);
  });

  it.each([
    "text/plain",
    "application/x-www-form-urlencoded",
    "application/json; charset=latin1",
    "application/grpc",
    "nonsense",
    "application/json/x",
  ])("%s is refused with 415", async (type) => {
    const response = await server.send(post('{"text":"a"}', { "content-type": type }));
    expect(response.json).toMatchObject({ code: 3, message: expect.any(String) });
    expect(response.status).toBe(415);
    expect(recorder.calls).toEqual([]);
  });

  it("of an empty body does not matter", async () => {
    const response = await server.send(post("", { "content-type": "text/plain" }));
    expect(response.status).toBe(200);
  });
});

describe("google.api.HttpBody", () => {
  const bytes = Buffer.from([0, 1, 255, 0x22]);

  it("takes any bytes as a field", async () => {
    const headers = { "content-type": "image/png" };
    await server.send({ method: "PUT", path: "/v1/files/a", headers, body: bytes });
    expect(recorder.calls).toEqual([
      {
        rpc: "File",
        message: { text: "a", file: { contentType: "image/png", data: bytes.toString("base64") } },
      },
    ]);
  });

  it("takes any bytes as the message", async () => {
    const headers = { "content-type": "application/json" };
    await server.send({ method: "POST", path: "/v1/raw", headers, body: "{not json" });
    const data = Buffer.from("{not json").toString("base64");
    const message = { contentType: "application/json", data };
    expect(recorder.calls).toEqual([{ rpc: "Raw", message }]);
  });

  it("stays unset without a body", async () => {
    await server.send("PUT /v1/files/a");
    expect(recorder.calls).toEqual([{ rpc: "File", message: { text: "a" } }]);
  });
});

describe("compressed bodies", () => {
  const json = '{"text":"a"}';

  it.each([
    ["gzip", gzipSync(json)],
    ["x-gzip", gzipSync(json)],
    ["br", brotliCompressSync(json)],
    ["deflate", deflateSync(json)],
    ["zstd", zstdCompressSync(json)],
    ["identity", Buffer.from(json)],
    ["GZIP", gzipSync(json)],
  ])("%s is taken", async (encoding, body) => {
    await server.send(post(body, { "content-encoding": encoding }));
    expect(recorder.calls).toEqual([{ rpc: "All", message: { text: "a" } }]);
  });

  it.each(["compress", "gzip, br", "nonsense"])("%s is refused with 415", async (encoding) => {
    const response = await server.send(post(gzipSync(json), { "content-encoding": encoding }));
    expect(response.status).toBe(415);
    expect(response.headers["accept-encoding"]).toBe("gzip, br");
    expect(response.json).toMatchObject({ code: 3 });
  });

  it.each(["gzip", "br"])("that are no %s are refused", async (encoding) => {
    const response = await server.send(post("not compressed", { "content-encoding": encoding }));
    expect(response.status).toBe(400);
    expect(response.json).toMatchObject({
      message: expect.stringContaining(`not valid ${encoding}`),
    });
  });

  it.each([
    ["gzip", gzipSync(Buffer.alloc(1_000_000, 32))],
    ["br", brotliCompressSync(Buffer.alloc(1_000_000, 32))],
  ])("%s bombs are refused with 413", async (encoding, body) => {
    expect(body.length).toBeLessThan(maxRequestBytes);
    const response = await server.send(post(body, { "content-encoding": encoding }));
    expect(response.status).toBe(413);
    expect(response.json).toMatchObject({ code: 8 });
  });
});

describe("size", () => {
  it("of the limit is taken", async () => {
    const body = `{"text":"${"a".repeat(maxRequestBytes - 11)}"}`;
    expect(body).toHaveLength(maxRequestBytes);
    expect((await server.send(post(body))).status).toBe(200);
  });

  it.each([
    ["with a length", {}],
    ["in chunks", { "transfer-encoding": "chunked" }],
  ])("over the limit is refused with 413 %s", async (_name, headers) => {
    const body = `{"text":"${"a".repeat(maxRequestBytes)}"}`;
    const response = await server.send(post(body, headers));
    expect(response.status).toBe(413);
    expect(response.json).toMatchObject({
      code: 8,
      message: `the body is larger than ${maxRequestBytes} bytes`,
    });
    expect(response.headers.connection).toBe("close");
    expect(recorder.calls).toEqual([]);
  });
});
