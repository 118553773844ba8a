import { describe, expect, it } from "vitest";
import { collectRules } from "../../src/rest/index.ts";
import { compileProto } from "./support/proto.ts";

const messages = `
  message Leaf { string id = 1; int32 n = 2; repeated string many = 3; map<string, string> map = 4; }
  message Request {
    string name = 1; string other = 2; Leaf leaf = 3; repeated Leaf leaves = 4;
    repeated string tags = 5; map<string, string> labels = 6; Color color = 7;
    google.protobuf.Timestamp time = 8; google.protobuf.StringValue wrapped = 9; bytes raw = 10;
  }
  enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; }`;

/** Rules, each on a method of its own, and what the start-up failure must say. */
const wrong: [name: string, rule: string, message: string][] = [
  ["no slash", `get: "v1/x"`, "expected `/` at column 1"],
  ["empty", `get: ""`, "expected `/` at column 1"],
  ["root only", `get: "/"`, "expected a literal, `*`, `**` or a variable at column 2"],
  ["empty segment", `get: "/v1//x"`, "at column 5"],
  ["trailing slash", `get: "/v1/"`, "at column 5"],
  ["open variable", `get: "/v1/{name"`, "expected `}` at column 10"],
  ["open pattern", `get: "/v1/{name=a/*"`, "expected `}`"],
  ["empty variable", `get: "/v1/{}"`, "expected a field name"],
  ["empty step", `get: "/v1/{leaf.}"`, "expected a field name"],
  ["empty pattern", `get: "/v1/{name=}"`, "expected a literal"],
  ["closing brace", `get: "/v1/x}"`, 'unexpected "}"'],
  ["text after variable", `get: "/v1/{name}x"`, 'unexpected "x"'],
  ["text before variable", `get: "/v1/x{name}"`, 'unexpected "{"'],
  ["star in literal", `get: "/v1/a*b"`, 'unexpected "*"'],
  ["three stars", `get: "/v1/***"`, 'unexpected "*"'],
  ["empty verb", `get: "/v1/x:"`, "expected a verb"],
  ["two verbs", `get: "/v1/x:a:b"`, 'unexpected ":"'],
  ["verb in the middle", `get: "/v1/x:a/b"`, 'unexpected "/"'],
  ["question mark", `get: "/v1/x?y=1"`, 'unexpected "?"'],
  ["space", `get: "/v1/a b"`, 'unexpected " "'],
  ["broken escape", `get: "/v1/a%2"`, 'unexpected "%"'],
  ["escape that is not UTF-8", `get: "/v1/%ff"`, "not UTF-8"],
  ["nested variables", `get: "/v1/{name=a/{other}}"`, "a variable inside a variable"],
  ["double star in the middle", `get: "/v1/**/x"`, "`**` must be the last segment"],
  ["double star variable first", `get: "/v1/{name=**}/x"`, "`**` must be the last segment"],
  ["two double stars", `get: "/v1/{name=a/**}/**"`, "`**` must be the last segment"],
  ["bound twice", `get: "/v1/{name}/{name}"`, 'variable "name" is bound twice'],
  ["unknown field", `get: "/v1/{nmae}"`, 'test.v1.Request has no field "nmae"'],
  ["unknown nested field", `get: "/v1/{leaf.x}"`, 'test.v1.Leaf has no field "x"'],
  ["JSON name in a path", `get: "/v1/{leafId}"`, 'no field "leafId"'],
  ["through a scalar", `get: "/v1/{name.x}"`, '"name" of test.v1.Request has no fields'],
  ["through a list", `get: "/v1/{leaves.id}"`, '"leaves" of test.v1.Request has no fields'],
  ["message", `get: "/v1/{leaf}"`, 'variable "leaf" is no single scalar field'],
  ["repeated", `get: "/v1/{tags}"`, 'variable "tags" is no single scalar field'],
  ["map", `get: "/v1/{labels}"`, 'variable "labels" is no single scalar field'],
  ["nested repeated", `get: "/v1/{leaf.many}"`, 'variable "leaf.many" is no single scalar'],
  ["timestamp", `get: "/v1/{time}"`, 'variable "time" is no single scalar field'],
  ["wrapper", `get: "/v1/{wrapped}"`, 'variable "wrapped" is no single scalar field'],
  ["inside a timestamp", `get: "/v1/{time.seconds}"`, '"time" of test.v1.Request has no fields'],
  ["unknown body", `post: "/v1/x" body: "x"`, 'body: test.v1.Request has no field "x"'],
  ["nested body", `post: "/v1/x" body: "leaf.id"`, 'body: test.v1.Request has no field "leaf.id"'],
  [
    "unknown response body",
    `get: "/v1/x" response_body: "x"`,
    "response_body: test.v1.Request has",
  ],
  ["star as response body", `get: "/v1/x" response_body: "*"`, "response_body: test.v1.Request"],
  ["no pattern", `body: "*"`, "the rule has no pattern"],
  [
    "unknown HTTP method",
    `custom: {kind: "FROBNICATE" path: "/v1/x"}`,
    "no HTTP method that Node.js",
  ],
  ["lower case HTTP method", `custom: {kind: "get" path: "/v1/x"}`, "no HTTP method that Node.js"],
  [
    "additional bindings in additional bindings",
    `get: "/v1/x" additional_bindings: {get: "/v1/y" additional_bindings: {get: "/v1/z"}}`,
    "additional_bindings inside additional_bindings",
  ],
  [
    "wrong additional binding",
    `get: "/v1/x" additional_bindings: {get: "/v1/{nmae}"}`,
    'no field "nmae"',
  ],
];

const right: [rule: string, shape: string][] = [
  [`get: "/v1/x"`, "GET /v1/x"],
  [`get: "/a-b._~!$&'()+,;=@"`, "GET /a-b._~!$&'()+,;=@"],
  [`get: "/v1/%2A/{name}"`, "GET /v1/%2A/{name}"],
  [`get: "/{name}"`, "GET /{name}"],
  [`get: "/{name=*}"`, "GET /{name=*}"],
  [`get: "/**"`, "GET /**"],
  [`get: "/{name=a/*/b/**}:go"`, "GET /{name=a/*/b/**}:go"],
  [`get: "/v1/{leaf.id}/*/{color}/{raw}"`, "GET /v1/{leaf.id}/*/{color}/{raw}"],
  [`custom: {kind: "HEAD" path: "/v1/x"}`, "HEAD /v1/x"],
  [`custom: {kind: "*" path: "/v1/x"}`, "* /v1/x"],
  [`custom: {kind: "PROPFIND" path: "/v1/x"}`, "PROPFIND /v1/x"],
];

const registry = compileProto(`${messages}
  service Wrong { ${wrong
    .map(
      ([, rule], index) =>
        `rpc Wrong${index}(Request) returns (Request) { option (google.api.http) = {${rule}}; }`,
    )
    .join("\n")} }
  service Right { ${right
    .map(
      ([rule], index) =>
        `rpc Right${index}(Request) returns (Request) { option (google.api.http) = {${rule}}; }`,
    )
    .join("\n")}
    rpc Unannotated(Request) returns (Request);
  }
  service Clash {
    rpc One(Request) returns (Request) { option (google.api.http) = {get: "/v1/{name}/x"}; }
    rpc Two(Request) returns (Request) { option (google.api.http) = {get: "/v1/{other=*}/x"}; }
    rpc Three(Request) returns (Request) { option (google.api.http) = {get: "/v1/*/%78"}; }
    rpc Four(Request) returns (Request) {
      option (google.api.http) = {
        get: "/v2/{name=a/*}" additional_bindings: {get: "/v2/a/{other}"}
      };
    }
    rpc Verb(Request) returns (Request) { option (google.api.http) = {get: "/v1/*/x:go"}; }
    rpc Method(Request) returns (Request) { option (google.api.http) = {post: "/v1/*/x"}; }
    rpc Any(Request) returns (Request) {
      option (google.api.http) = {custom: {kind: "*" path: "/v1/*/x"}};
    }
    rpc Rest(Request) returns (Request) { option (google.api.http) = {get: "/v1/**"}; }
  }`);

function methodOf(service: string, name: string) {
  const method = registry
    .getService(`test.v1.${service}`)
    ?.methods.find((candidate) => candidate.name === name);
  if (method === undefined) throw new Error(`no method ${name}`);
  return method;
}

describe("building fails for", () => {
  it.each(wrong.map(([name, , message], index) => ({ name, message, index })))(
    "$name",
    ({ message, index }) => {
      const build = () => collectRules([methodOf("Wrong", `Wrong${index}`)]);
      expect(build).toThrow(message);
      expect(build).toThrow(`test.v1.Wrong.Wrong${index}: google.api.http: `);
    },
  );

  it.each([
    ["One", "Two"],
    ["One", "Three"],
  ])("the same shape in %s and %s", (one, other) => {
    const build = () => collectRules([methodOf("Clash", one), methodOf("Clash", other)]);
    expect(build).toThrow(`test.v1.Clash.${other}: `);
    expect(build).toThrow(`is already taken by test.v1.Clash.${one}`);
  });

  it("the same shape in two bindings of one method", () => {
    const build = () => collectRules([methodOf("Clash", "Four")]);
    expect(build).toThrow("is already taken by test.v1.Clash.Four");
  });
});

describe("building takes", () => {
  it.each(right.map(([rule, shape], index) => ({ rule, shape, index })))(
    "$rule",
    ({ shape, index }) => {
      const [rule] = collectRules([methodOf("Right", `Right${index}`)]);
      expect(`${rule?.httpMethod} ${rule?.template.text}`).toBe(shape);
    },
  );

  it("shapes that differ in verb, HTTP method or depth", () => {
    const names = ["One", "Verb", "Method", "Any", "Rest"];
    expect(collectRules(names.map((name) => methodOf("Clash", name)))).toHaveLength(5);
  });

  it("methods without a rule", () => {
    expect(collectRules([methodOf("Right", "Unannotated")])).toEqual([]);
  });
});
