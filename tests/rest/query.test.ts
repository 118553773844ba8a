import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { recordCalls } from "./support/echo.ts";
import { compileProto, serviceOf } from "./support/proto.ts";
import { startRest, type TestServer } from "./support/server.ts";

/** Query strings of `GET /v1/things` and the message that they make. */
const accepted: [query: string, message: object][] = [
  ["", {}],
  ["&&", {}],
  ["text=a", { text: "a" }],
  ["text=a+b%20c%2Bd", { text: "a b c+d" }],
  ["text=%E2%82%AC", { text: "€" }],
  ["text=a=b=c", { text: "a=b=c" }],
  ["text=a%26b%3Dc", { text: "a&b=c" }],
  ["te%78t=a", { text: "a" }],
  ["text", {}],
  ["text=", {}],
  ["optional_text", { optionalText: "" }],
  ["optionalText=", { optionalText: "" }],
  ["optionalNumber=0", { optionalNumber: 0 }],
  // Numbers.
  ["int32=-2147483648&uint32=4294967295", { int32: -2147483648, uint32: 4294967295 }],
  ["int32=1e3&uint32=2.0", { int32: 1000, uint32: 2 }],
  ["sint32=-1&fixed32=1&sfixed32=-1", { sint32: -1, fixed32: 1, sfixed32: -1 }],
  ["int64=-9223372036854775808", { int64: "-9223372036854775808" }],
  ["uint64=18446744073709551615", { uint64: "18446744073709551615" }],
  ["sint64=-1&fixed64=1&sfixed64=-1", { sint64: "-1", fixed64: "1", sfixed64: "-1" }],
  ["long_string=9007199254740993", { longString: "9007199254740993" }],
  ["double=-1.5e-3&float=0.5", { double: -0.0015, float: 0.5 }],
  ["double=NaN&float=-Infinity", { double: "NaN", float: "-Infinity" }],
  ["bool=true&bool2=false", { bool: true }],
  // Bytes, both alphabets, with and without padding.
  ["bytes=3q2%2B7w%3D%3D", { bytes: "3q2+7w==" }],
  ["bytes=3q2-7w", { bytes: "3q2+7w==" }],
  ["bytes=_-__", { bytes: "/+//" }],
  // Enums.
  ["color=COLOR_RED", { color: "COLOR_RED" }],
  ["color=1", { color: "COLOR_RED" }],
  ["color=7", { color: 7 }],
  // Repeated fields.
  ["tags=a&tags=b", { tags: ["a", "b"] }],
  ["tags=a&int32=1&tags=b", { tags: ["a", "b"], int32: 1 }],
  ["tags=a,b", { tags: ["a,b"] }],
  [
    "numbers=1&numbers=2&colors=COLOR_RED&colors=0",
    { numbers: [1, 2], colors: ["COLOR_RED", "COLOR_UNSPECIFIED"] },
  ],
  // Paths, in JSON names and proto names.
  ["leaf.leaf_name=a", { leaf: { leafName: "a" } }],
  ["leaf.leafName=a&leaf.leaf.leafName=b", { leaf: { leafName: "a", leaf: { leafName: "b" } } }],
  ["leaf.tags=a&leaf.tags=b", { leaf: { tags: ["a", "b"] } }],
  ["customName=a", { customName: "a" }],
  ["with_custom_name=a", { customName: "a" }],
  // Well-known types.
  ["time=2026-01-31T12:00:00.5Z", { time: "2026-01-31T12:00:00.500Z" }],
  ["time=2026-01-31T12:00:00%2B02:00", { time: "2026-01-31T10:00:00Z" }],
  ["duration=-1.5s", { duration: "-1.500s" }],
  ["mask=displayName,leaf.leafName", { mask: "displayName,leaf.leafName" }],
  ["mask=display_name,leaf.leaf_name", { mask: "displayName,leaf.leafName" }],
  ["mask=", { mask: "" }],
  [
    "string_value=&bool_value=false&int32_value=0",
    { stringValue: "", boolValue: false, int32Value: 0 },
  ],
  [
    "int64_value=1&uint64_value=2&uint32_value=3",
    { int64Value: "1", uint64Value: "2", uint32Value: 3 },
  ],
  [
    "double_value=1.5&float_value=0.5&bytes_value=AA",
    { doubleValue: 1.5, floatValue: 0.5, bytesValue: "AA==" },
  ],
  // Oneofs.
  ["choiceText=a", { choiceText: "a" }],
  [
    "choiceLeaf.leafName=a&choiceLeaf.leaf.leafName=b",
    { choiceLeaf: { leafName: "a", leaf: { leafName: "b" } } },
  ],
  ["choiceWrapped=a", { choiceWrapped: "a" }],
  // Tracking parameters that the server passes over.
  ["utm_source=x&utm_medium=%zz&gclid=y&text=a", { text: "a" }],
];

const refused: [query: string, field: string, description: string][] = [
  ["unknown=1", "unknown", "unknown query parameter"],
  ["Text=1", "Text", "unknown query parameter"],
  ["=1", '""', "unknown query parameter"],
  ["leaf.unknown=1", "leaf.unknown", "unknown query parameter"],
  ["text.x=1", "text.x", "unknown query parameter"],
  [".text=1", ".text", "unknown query parameter"],
  ["text.=1", "text.", "unknown query parameter"],
  ["gclid2=1", "gclid2", "unknown query parameter"],
  ["__proto__=1", "__proto__", "unknown query parameter"],
  ["constructor=1", "constructor", "unknown query parameter"],
  // Given twice.
  ["text=a&text=b", "text", "is given twice"],
  ["optional_text=a&optionalText=a", "optionalText", "is given twice"],
  ["leaf.leafName=a&leaf.leaf_name=a", "leaf.leaf_name", "is given twice"],
  ["time=2026-01-31T12:00:00Z&time=2026-01-31T12:00:00Z", "time", "is given twice"],
  ["choiceText=a&choiceText=a", "choiceText", "is given twice"],
  ["choiceText=a&choiceNumber=1", "choiceNumber", 'another member of the oneof "choice"'],
  ["choiceLeaf.leafName=a&choiceText=b", "choiceText", 'another member of the oneof "choice"'],
  ["choiceText=b&choiceLeaf.leafName=a", "choiceLeaf.leafName", "another member of the oneof"],
  // No parameters.
  ["labels=1", "labels", "is no query parameter"],
  ["labels.a=1", "labels.a", "unknown query parameter"],
  ["struct=1", "struct", "is no query parameter"],
  ["struct.fields=1", "struct.fields", "unknown query parameter"],
  ["value=1", "value", "is no query parameter"],
  ["value.stringValue=1", "value.stringValue", "unknown query parameter"],
  ["list=1", "list", "is no query parameter"],
  ["any.typeUrl=1", "any.typeUrl", "unknown query parameter"],
  ["leaf=1", "leaf", "is no query parameter"],
  ["leaves=1", "leaves", "is no query parameter"],
  ["leaves.leafName=1", "leaves.leafName", "unknown query parameter"],
  ["times=2026-01-31T12:00:00Z", "times", "is no query parameter"],
  ["time.seconds=1", "time.seconds", "unknown query parameter"],
  ["stringValue.value=a", "stringValue.value", "unknown query parameter"],
  // Values that do not fit.
  ["int32=2147483648", "int32", "expected an integer from -2147483648 to 2147483647"],
  ["int32=1.5", "int32", "expected an integer"],
  ["int32=", "int32", "expected an integer"],
  ["int32=+1", "int32", "expected an integer"],
  ["int32=0x10", "int32", "expected an integer"],
  ["uint32=-1", "uint32", "expected an integer from 0 to 4294967295"],
  ["int64=1.0", "int64", "expected an integer"],
  ["int64=9223372036854775808", "int64", "expected an integer from -9223372036854775808"],
  ["uint64=-1", "uint64", "expected an integer from 0 to 18446744073709551615"],
  ["double=1,5", "double", "expected a number"],
  ["double=1e999", "double", "expected a number"],
  ["double=Inf", "double", "expected a number"],
  ["float=1e39", "float", "expected a number of 32 bits"],
  ["bool=1", "bool", "expected true or false"],
  ["bool=TRUE", "bool", "expected true or false"],
  ["bool", "bool", "expected true or false"],
  ["bytes=A", "bytes", "expected base64"],
  ["bytes=A%20A", "bytes", "expected base64"],
  ["color=RED", "color", "expected one of COLOR_UNSPECIFIED, COLOR_RED"],
  ["color=color_red", "color", "expected one of"],
  ["color=2147483648", "color", "expected an integer"],
  ["numbers=1&numbers=x", "numbers", "expected an integer"],
  ["time=yesterday", "time", "expected a time like"],
  ["time=2026-13-01T00:00:00Z", "time", "expected a time like"],
  ["duration=1.5", "duration", "expected a duration like 1.5s"],
  ["duration=1sx", "duration", "expected a duration like 1.5s"],
  ["duration=1.0000000001s", "duration", "expected a duration like 1.5s"],
  ["duration=999999999999s", "duration", "expected a duration like 1.5s"],
  ["mask=a,,b", "mask", "expected field paths"],
  ["mask=a%20b", "mask", "expected field paths"],
  ["boolValue=x", "boolValue", "expected true or false"],
  // Escapes.
  ["text=%zz", "text", "malformed percent-encoding, or not UTF-8"],
  ["text=%ff", "text", "malformed percent-encoding, or not UTF-8"],
  ["%zz=1", '"%zz"', "malformed percent-encoding, or not UTF-8"],
];

/** Other routes: what path and body cover is no parameter. */
const covered: [request: string, field: string, description: string][] = [
  ["GET /v1/things/a?text=b", "text", "is set by the path"],
  ["GET /v1/leaves/a?leaf.leafName=b", "leaf.leafName", "is set by the path"],
  ["GET /v1/leaves/a?leaf.leaf_name=b", "leaf.leaf_name", "is set by the path"],
  ["GET /v1/choices/a?choiceNumber=1", "choiceNumber", "is set by the path"],
  ["GET /v1/choices/a?choiceLeaf.leafName=1", "choiceLeaf.leafName", "is set by the path"],
  ["POST /v1/things?int32=1 {}", "int32", "belongs in the body"],
  ["POST /v1/things?unknown=1 {}", "unknown", "unknown query parameter"],
  ["PATCH /v1/leaves?leaf.leafName=1 {}", "leaf.leafName", "belongs in the body"],
  ["PUT /v1/choices?choiceNumber=1 {}", "choiceNumber", 'another member of the oneof "choice"'],
];

let server: TestServer;
let recorder: ReturnType<typeof recordCalls>;

beforeAll(async () => {
  const registry = compileProto(`
    message Leaf { string leaf_name = 1; Leaf leaf = 2; repeated string tags = 3; }
    enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; }
    message Request {
      string text = 1; optional string optional_text = 2; optional int32 optional_number = 3;
      int32 int32 = 4; uint32 uint32 = 5; sint32 sint32 = 6; fixed32 fixed32 = 7;
      sfixed32 sfixed32 = 8; int64 int64 = 9; uint64 uint64 = 10; sint64 sint64 = 11;
      fixed64 fixed64 = 12; sfixed64 sfixed64 = 13; double double = 14; float float = 15;
      bool bool = 16; bool bool2 = 17; bytes bytes = 18; Color color = 19;
      int64 long_string = 20 [jstype = JS_STRING];
      repeated string tags = 21; repeated int32 numbers = 22; repeated Color colors = 23;
      Leaf leaf = 24; repeated Leaf leaves = 25; map<string, string> labels = 26;
      string with_custom_name = 27 [json_name = "customName"];
      google.protobuf.Timestamp time = 30; google.protobuf.Duration duration = 31;
      google.protobuf.FieldMask mask = 32; google.protobuf.Struct struct = 33;
      google.protobuf.Value value = 34; google.protobuf.ListValue list = 35;
      google.protobuf.Any any = 36; repeated google.protobuf.Timestamp times = 37;
      google.protobuf.StringValue string_value = 40; google.protobuf.BoolValue bool_value = 41;
      google.protobuf.Int32Value int32_value = 42; google.protobuf.Int64Value int64_value = 43;
      google.protobuf.UInt32Value uint32_value = 44; google.protobuf.UInt64Value uint64_value = 45;
      google.protobuf.DoubleValue double_value = 46; google.protobuf.FloatValue float_value = 47;
      google.protobuf.BytesValue bytes_value = 48;
      oneof choice {
        string choice_text = 50; int32 choice_number = 51; Leaf choice_leaf = 52;
        google.protobuf.StringValue choice_wrapped = 53;
      }
    }
    service TestService {
      rpc List(Request) returns (Request) { option (google.api.http) = {get: "/v1/things"}; }
      rpc Get(Request) returns (Request) { option (google.api.http) = {get: "/v1/things/{text}"}; }
      rpc GetLeaf(Request) returns (Request) {
        option (google.api.http) = {get: "/v1/leaves/{leaf.leaf_name}"};
      }
      rpc GetChoice(Request) returns (Request) {
        option (google.api.http) = {get: "/v1/choices/{choice_text}"};
      }
      rpc Create(Request) returns (Request) {
        option (google.api.http) = {post: "/v1/things" body: "*"};
      }
      rpc Update(Request) returns (Request) {
        option (google.api.http) = {patch: "/v1/leaves" body: "leaf"};
      }
      rpc Put(Request) returns (Request) {
        option (google.api.http) = {put: "/v1/choices" body: "choice_leaf"};
      }
    }`);
  recorder = recordCalls(serviceOf(registry), registry);
  server = await startRest({
    routes: recorder.routes,
    ignoredQueryParameters: ["utm_*", "gclid"],
  });
});
afterAll(() => server.close());
beforeEach(() => {
  recorder.calls.length = 0;
});

describe("query", () => {
  it.each(accepted)("%s is taken", async (query, message) => {
    const response = await server.send(`GET /v1/things?${query}`);
    expect(recorder.calls).toEqual([{ rpc: "List", message }]);
    expect(response.status).toBe(200);
  });

  it.each([
    ["GET /v1/things/a?tags=b", "Get", { text: "a", tags: ["b"] }],
    [
      "GET /v1/leaves/a?leaf.leaf.leafName=b",
      "GetLeaf",
      { leaf: { leafName: "a", leaf: { leafName: "b" } } },
    ],
    ["PATCH /v1/leaves?text=b {}", "Update", { text: "b", leaf: {} }],
    ['PATCH /v1/leaves?text=b {"leafName":"a"}', "Update", { text: "b", leaf: { leafName: "a" } }],
    ["PUT /v1/choices?choiceNumber=1", "Put", { choiceNumber: 1 }],
    ["POST /v1/things?utm_source=1 {}", "Create", {}],
  ])("%s is taken beside path and body", async (request, rpc, message) => {
    const response = await server.send(request);
    expect(recorder.calls).toEqual([{ rpc, message }]);
    expect(response.status).toBe(200);
  });

  it.each([
    ...refused.map(([query, ...rest]) => [`GET /v1/things?${query}`, ...rest] as const),
    ...covered,
  ])("%s is refused", async (request, field, description) => {
    const response = await server.send(request);
    expect(response.json).toMatchObject({
      code: 3,
      message: expect.stringContaining(`${field}: ${description}`),
      details: [
        {
          "@type": "type.googleapis.com/google.rpc.BadRequest",
          fieldViolations: [{ field, description: expect.stringContaining(description) }],
        },
      ],
    });
    expect(response.status).toBe(400);
    expect(recorder.calls).toEqual([]);
  });
});
