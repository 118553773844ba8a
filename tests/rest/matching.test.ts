import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { recordCalls } from "./support/echo.ts";
import { compileProto, serviceOf } from "./support/proto.ts";
import { startRest, type TestServer } from "./support/server.ts";

/** Methods by name, in an order that is not the order of precedence. */
const rules: Record<string, string> = {
  Rest: `get: "/v1/{name=**}"`,
  One: `get: "/v1/{name}"`,
  Literal: `get: "/v1/literal"`,
  PostOne: `post: "/v1/{name}" body: "*"`,
  Deep: `get: "/v1/{name}/b/c"`,
  LeftLiteral: `get: "/v1/a/{name}/c"`,
  Tail: `get: "/v1/a/{name=**}"`,
  Pair: `get: "/v1/{name=p/*}"`,
  Delete: `delete: "/v1/literal"`,
  Cancel: `post: "/v1/{name}:cancel" body: "*"`,
  CancelRest: `post: "/v1/{name=**}:cancel" body: "*"`,
  Export: `get: "/v1/{name}:export"`,
  EncodedVerb: `get: "/v2/{name}:%65xport"`,
  EncodedLiteral: `get: "/v2/sp%20ace/%2A/a%2Fb/{name}"`,
  Nothing: `get: "/v3/x/**"`,
  NothingVerb: `get: "/v3/y/{name=**}:go"`,
  Any: `custom: {kind: "*" path: "/v4/{name}"}`,
  AnyPut: `put: "/v4/{name}"`,
  Search: `custom: {kind: "SEARCH" path: "/v5/{name}"}`,
  Bound: `get: "/v6/{name=a/*/b}/{leaf.id}" additional_bindings: {get: "/v6/{leaf.id}"}`,
  Numbers: `get: "/v7/{number}/{flag}/{color}/{raw}/{ratio}/{big}"`,
  Head: `custom: {kind: "HEAD" path: "/v8/x"}`,
  GetHead: `get: "/v8/{name}"`,
  Options: `custom: {kind: "OPTIONS" path: "/v9/x"}`,
};

/** Request, RPC, and the message that it gets. */
const matches: [request: string, rpc: string, message?: object][] = [
  // Literal beats `*` beats `**`, from the left, whatever the order of registration.
  ["GET /v1/literal", "Literal"],
  ["GET /v1/other", "One", { name: "other" }],
  ["GET /v1/other/more", "Rest", { name: "other/more" }],
  ["GET /v1/x/b/c", "Deep", { name: "x" }],
  ["GET /v1/a/b/c", "LeftLiteral", { name: "b" }],
  ["GET /v1/a/b/d", "Tail", { name: "b/d" }],
  ["GET /v1/p/x", "Pair", { name: "p/x" }],
  ["GET /v1/p/x/y", "Rest", { name: "p/x/y" }],
  // A template without the HTTP method does not hide a less specific one.
  ["POST /v1/literal {}", "PostOne", { name: "literal" }],
  ["DELETE /v1/literal", "Delete"],
  // Verbs.
  ["POST /v1/x:cancel {}", "Cancel", { name: "x" }],
  ["POST /v1/x/y:cancel {}", "CancelRest", { name: "x/y" }],
  ["POST /v1/x:y:cancel {}", "Cancel", { name: "x:y" }],
  ["GET /v1/x:export", "Export", { name: "x" }],
  ["GET /v2/x:export", "EncodedVerb", { name: "x" }],
  ["GET /v2/x:%65xport", "EncodedVerb", { name: "x" }],
  // A colon that is no verb.
  ["GET /v1/x:cancel", "One", { name: "x:cancel" }],
  ["GET /v1/x:unknown", "One", { name: "x:unknown" }],
  ["GET /v1/x:", "One", { name: "x:" }],
  ["GET /v1/a:b/c", "Rest", { name: "a:b/c" }],
  ["POST /v1/x:unknown {}", "PostOne", { name: "x:unknown" }],
  // An escaped colon is data.
  ["POST /v1/x%3Acancel {}", "PostOne", { name: "x:cancel" }],
  ["GET /v1/x%3Aexport", "One", { name: "x:export" }],
  // Literals compare after decoding, and an escaped slash is no slash.
  ["GET /v1/%6Citeral", "Literal"],
  ["GET /v2/sp%20ace/*/a%2fb/x", "EncodedLiteral", { name: "x" }],
  ["GET /v2/sp%20ace/%2a/a%2Fb/x", "EncodedLiteral", { name: "x" }],
  ["GET /v1/a%2Fb%2Fc", "One", { name: "a/b/c" }],
  // Trailing slashes and empty segments count.
  ["GET /v1/literal/", "Rest", { name: "literal/" }],
  ["GET /v1/", "One", {}],
  ["GET /v1//b/c", "Deep", {}],
  ["GET /v1//", "Rest", { name: "/" }],
  ["POST /v1/:cancel {}", "Cancel", {}],
  // `**` may match nothing.
  ["GET /v1", "Rest", {}],
  ["GET /v3/x", "Nothing"],
  ["GET /v3/x/", "Nothing"],
  ["GET /v3/x/y/z", "Nothing"],
  ["GET /v3/y:go", "NothingVerb", {}],
  ["GET /v3/y/:go", "NothingVerb", {}],
  ["GET /v3/y/a/b:go", "NothingVerb", { name: "a/b" }],
  // Single-segment captures are decoded, others but for slashes.
  ["GET /v1/%E2%82%AC%20%25+&=", "One", { name: "€ %+&=" }],
  ["GET /v1/%25%32%46", "One", { name: "%2F" }],
  ["GET /v1/x/a%2Fb%2fc%20d", "Rest", { name: "x/a%2Fb%2fc d" }],
  ["GET /v1/p/a%2Fb", "Pair", { name: "p/a%2Fb" }],
  ["GET /v1/%70/x", "Pair", { name: "p/x" }],
  ["GET /v1/x/%252F", "Rest", { name: "x/%2F" }],
  ["GET /v1/../..", "Rest", { name: "../.." }],
  // Variables of every kind.
  ["GET /v6/a/x/b/y", "Bound", { name: "a/x/b", leaf: { id: "y" } }],
  ["GET /v6/y", "Bound", { leaf: { id: "y" } }],
  [
    "GET /v7/-7/true/COLOR_RED/3q2-7w/1.5e3/9223372036854775807",
    "Numbers",
    {
      number: -7,
      flag: true,
      color: "COLOR_RED",
      raw: "3q2+7w==",
      ratio: 1500,
      big: "9223372036854775807",
    },
  ],
  [
    "GET /v7/0/false/1/%2F%2F%2F%2F/NaN/0",
    "Numbers",
    { color: "COLOR_RED", raw: "////", ratio: "NaN" },
  ],
  // HTTP methods.
  ["GET /v4/x", "Any", { name: "x" }],
  ["REPORT /v4/x", "Any", { name: "x" }],
  ["PUT /v4/x", "AnyPut", { name: "x" }],
  ["SEARCH /v5/x", "Search", { name: "x" }],
  ["HEAD /v1/literal", "Literal"],
  ["HEAD /v8/x", "Head"],
  ["HEAD /v8/y", "GetHead", { name: "y" }],
  ["OPTIONS /v9/x", "Options"],
  // A target in absolute form, and a query.
  ["GET http://example.com/v1/literal?", "Literal"],
  ["GET /v1/x?", "One", { name: "x" }],
];

const misses: [request: string, status: number, code: number, message: string][] = [
  ["GET /", 404, 5, 'there is no GET "/"'],
  ["GET /v2", 404, 5, "there is no GET"],
  ["GET /V1/literal", 404, 5, "there is no GET"],
  ["GET //v1/literal", 404, 5, "there is no GET"],
  ["GET /v3/xx", 404, 5, "there is no GET"],
  ["GET /v3%2Fx", 404, 5, "there is no GET"],
  ["GET /v6/a/x/c/y", 404, 5, "there is no GET"],
  ["GET /v2/x%3Aexport", 404, 5, "there is no GET"],
  ["POST /v5/x", 405, 12, "POST is not allowed"],
  ["PATCH /v1/literal", 405, 12, "use DELETE, GET, HEAD, OPTIONS, POST"],
  ["GET /v7/1.5/true/0/AA/1/1", 400, 3, "number: expected an integer from -2147483648"],
  ["GET /v7/2147483648/true/0/AA/1/1", 400, 3, "number: expected an integer"],
  ["GET /v7/1/1/0/AA/1/1", 400, 3, 'flag: expected true or false, got "1"'],
  ["GET /v7/1/true/RED/AA/1/1", 400, 3, "color: expected one of COLOR_UNSPECIFIED, COLOR_RED"],
  ["GET /v7/1/true/0/A*/1/1", 400, 3, "raw: expected base64"],
  ["GET /v7/1/true/0/AA/x/1", 400, 3, "ratio: expected a number"],
  ["GET /v7/1/true/0/AA/1/9223372036854775808", 400, 3, "big: expected an integer"],
  ["GET /v7//true/0/AA/1/1", 400, 3, "number: expected an integer"],
  ["GET /v1/%", 400, 3, 'path: malformed percent-encoding, or not UTF-8: "%"'],
  ["GET /v1/x%2", 400, 3, "path: malformed"],
  ["GET /v1/%GG/b/c", 400, 3, "path: malformed"],
  ["GET /v1/%C3%28", 400, 3, "path: malformed"],
  ["GET /v1/a/%ED%A0%80", 400, 3, "path: malformed"],
  ["GET /v3/x/%zz", 400, 3, "path: malformed"],
];

let server: TestServer;
let recorder: ReturnType<typeof recordCalls>;

beforeAll(async () => {
  const registry = compileProto(`
    message Leaf { string id = 1; }
    enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; }
    message Request {
      string name = 1; Leaf leaf = 2; int32 number = 3; bool flag = 4; Color color = 5;
      bytes raw = 6; double ratio = 7; int64 big = 8;
    }
    service TestService { ${Object.entries(rules)
      .map(
        ([name, rule]) =>
          `rpc ${name}(Request) returns (Request) { option (google.api.http) = {${rule}}; }`,
      )
      .join("\n")} }`);
  recorder = recordCalls(serviceOf(registry), registry);
  server = await startRest({ routes: recorder.routes });
});
afterAll(() => server.close());
beforeEach(() => {
  recorder.calls.length = 0;
});

describe("matching finds", () => {
  it.each(matches)("%s: %s", async (request, rpc, message = {}) => {
    const response = await server.send(request);
    expect(recorder.calls).toEqual([{ rpc, message }]);
    expect(response.status).toBe(200);
  });
});

describe("matching refuses", () => {
  it.each(misses)("%s with %i", async (request, status, code, message) => {
    const response = await server.send(request);
    expect(response.json).toMatchObject({ code, message: expect.stringContaining(message) });
    expect(response.status).toBe(status);
    expect(recorder.calls).toEqual([]);
  });
});

describe("HTTP methods", () => {
  it.each([
    ["PATCH /v1/literal", "DELETE, GET, HEAD, OPTIONS, POST"],
    ["PUT /v1/x:cancel", "GET, HEAD, OPTIONS, POST"],
    ["GET /v5/x", "OPTIONS, SEARCH"],
  ])("%s is answered with Allow: %s", async (request, allow) => {
    const response = await server.send(request);
    expect(response.status).toBe(405);
    expect(response.headers.allow).toBe(allow);
  });

  it.each([
    ["OPTIONS /v1/literal", "DELETE, GET, HEAD, OPTIONS, POST"],
    ["OPTIONS /v1/x/y", "GET, HEAD, OPTIONS"],
  ])("%s is answered with Allow: %s", async (request, allow) => {
    const response = await server.send(request);
    expect(response.status).toBe(204);
    expect(response.headers.allow).toBe(allow);
    expect(recorder.calls).toEqual([]);
  });

  it("HEAD has the headers of GET and no body", async () => {
    const get = await server.send("GET /v1/literal");
    const head = await server.send("HEAD /v1/literal");
    expect(head.bytes).toHaveLength(0);
    expect({ ...head.headers, date: "" }).toEqual({ ...get.headers, date: "" });
  });
});
