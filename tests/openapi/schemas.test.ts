import { beforeAll, expect, it } from "vitest";
import type { Document, Schema } from "../../src/openapi/index.ts";
import { documentOf } from "./support/contract.ts";

let document: Document;
const schema = (name: string): Schema => document.components.schemas[name] ?? {};
const property = (name: string): Schema => schema("Everything").properties?.[name] ?? {};

beforeAll(() => {
  document = documentOf(`
    service TestService {
      rpc Put(Everything) returns (Everything) {
        option (google.api.http) = {put: "/v1/everything" body: "*"};
      }
    }
    // All kinds of fields.
    message Everything {
      // A name
      // on two lines.
      //
      // - a list
      // - of two
      string name = 1;
      bool flag = 2;
      int32 int32 = 3;
      uint32 uint32 = 4;
      int64 int64 = 5;
      uint64 uint64 = 6;
      double double = 7;
      float bounded = 8 [(buf.validate.field).float = {gte: 0, lt: 1}];
      bytes bytes = 9 [(buf.validate.field).bytes = {min_len: 1, max_len: 4}];
      google.protobuf.Timestamp timestamp = 10;
      google.protobuf.Duration duration = 11 [(buf.validate.field).duration.lte.seconds = 60];
      google.protobuf.FieldMask field_mask = 12;
      google.protobuf.Struct struct = 13;
      google.protobuf.Value value = 14;
      google.protobuf.Any any = 15;
      google.protobuf.Empty empty = 16;
      google.protobuf.StringValue wrapped = 17 [(buf.validate.field).string.max_len = 5];
      repeated string tags = 18 [(buf.validate.field).repeated = {
        min_items: 1 max_items: 3 unique: true items: {string: {min_len: 2}}
      }];
      map<int32, string> counts = 19 [(buf.validate.field).map = {
        max_pairs: 2 keys: {int32: {gte: 0}} values: {string: {max_len: 3}}
      }];
      Color color = 20 [(buf.validate.field).enum = {defined_only: true, not_in: [0]}];
      Everything inner = 21 [deprecated = true];
      oneof choice {
        option (buf.validate.oneof).required = true;
        string this_one = 22;
        Nested that = 23;
      }
      oneof other { bool a = 24; bool b = 25; }
      optional string maybe = 26 [(buf.validate.field).string.min_len = 1];
      string email = 27 [(buf.validate.field).string.email = true];
      string id = 28 [
        (buf.validate.field).ignore = IGNORE_IF_ZERO_VALUE,
        (buf.validate.field).string.uuid = true
      ];
      string code = 29 [(buf.validate.field).string = {pattern: "^[a-z]*$", max_bytes: 9}];
      string site = 30 [(buf.validate.field).string = {prefix: "a.b/", suffix: "?"}];
      int32 age = 31 [(buf.validate.field).int32 = {gt: 17, lte: 130}];
      int64 count = 32 [(buf.validate.field).int64 = {gte: 0, lt: 10}];
      int32 outside = 33 [(buf.validate.field).int32 = {gt: 10, lt: 5}];
      string even = 34 [(buf.validate.field).cel = {
        id: "even" message: "must have an even length" expression: "size(this) % 2 == 0"
      }];
      string some = 35 [(buf.validate.field).string = {in: ["", "a", "b"]}];
      string json = 36 [json_name = "JSON"];
      google.protobuf.NullValue null = 37;
      message Nested {}
    }
    // Colours.
    enum Color {
      COLOR_UNSPECIFIED = 0;
      // Like blood.
      COLOR_RED = 1;
    }`);
});

it("joins wrapped lines of comments and keeps lists", () => {
  expect(property("name")).toEqual({
    type: "string",
    description: "A name on two lines.\n\n- a list\n- of two",
  });
  expect(schema("Everything").description).toBe("All kinds of fields.");
});

const long = { type: "string", pattern: "^-?[0-9]+$" };
it.each<[string, Schema]>([
  ["flag", { type: "boolean" }],
  ["int32", { type: "integer", format: "int32" }],
  ["uint32", { type: "integer", format: "uint32", minimum: 0, maximum: 4294967295 }],
  ["int64", { ...long, format: "int64" }],
  ["uint64", { type: "string", format: "uint64", pattern: "^[0-9]+$" }],
  [
    "double",
    {
      anyOf: [{ type: "number", format: "double" }, { enum: ["NaN", "Infinity", "-Infinity"] }],
    },
  ],
  ["bounded", { type: "number", format: "float", minimum: 0, exclusiveMaximum: 1 }],
  [
    "bytes",
    {
      type: "string",
      contentEncoding: "base64",
      minLength: 2,
      "x-min-bytes": 1,
      maxLength: 8,
      "x-max-bytes": 4,
    },
  ],
  ["timestamp", { type: "string", format: "date-time" }],
  [
    "duration",
    {
      type: "string",
      format: "google-duration",
      pattern: String.raw`^-?\d{1,12}(\.\d{1,9})?s$`,
      "x-maximum": "60s",
      examples: ["1.5s"],
    },
  ],
  ["struct", { type: "object", additionalProperties: true }],
  ["value", {}],
  ["empty", { type: "object" }],
  ["wrapped", { type: ["string", "null"], maxLength: 5 }],
  [
    "tags",
    {
      type: "array",
      items: { type: "string", minLength: 2 },
      minItems: 1,
      maxItems: 3,
      uniqueItems: true,
    },
  ],
  [
    "counts",
    {
      type: "object",
      propertyNames: { pattern: "^[0-9]+$", "x-minimum": 0 },
      additionalProperties: { type: "string", maxLength: 3 },
      maxProperties: 2,
    },
  ],
  ["color", { $ref: "#/components/schemas/Color", enum: ["COLOR_RED"] }],
  ["inner", { $ref: "#/components/schemas/Everything", deprecated: true }],
  ["that", { $ref: "#/components/schemas/Everything.Nested" }],
  ["maybe", { type: "string", minLength: 1 }],
  ["email", { type: "string", format: "email" }],
  ["id", { type: "string", format: "uuid" }],
  ["code", { type: "string", pattern: "^[a-z]*$", maxLength: 9, "x-max-bytes": 9 }],
  ["site", { type: "string", pattern: String.raw`^a\.b/`, allOf: [{ pattern: String.raw`\?$` }] }],
  ["age", { type: "integer", format: "int32", exclusiveMinimum: 17, maximum: 130 }],
  [
    "count",
    {
      type: "string",
      format: "int64",
      pattern: "^[0-9]+$",
      "x-minimum": "0",
      "x-exclusive-maximum": "10",
    },
  ],
  [
    "outside",
    {
      type: "integer",
      format: "int32",
      anyOf: [{ exclusiveMaximum: 5 }, { exclusiveMinimum: 10 }],
    },
  ],
  ["even", { type: "string", description: "must have an even length" }],
  ["some", { type: "string", enum: ["", "a", "b"] }],
  ["JSON", { type: "string" }],
  ["null", { type: "null" }],
])("writes the field %s with its rules", (name, expected) => {
  expect(property(name)).toEqual(expected);
});

it("requires the fields that an empty message is refused for", () => {
  const required = schema("Everything").required;
  expect(required?.toSorted()).toEqual(["age", "bytes", "color", "email", "site", "tags"]);
});

it("says which fields exclude each other", () => {
  const that = [{ required: ["thisOne"] }, { required: ["that"] }];
  const others = [{ required: ["a"] }, { required: ["b"] }];
  expect(schema("Everything").allOf).toEqual([
    { oneOf: that },
    { oneOf: [...others, { not: { anyOf: others } }] },
  ]);
});

it("writes enums by the names of their values", () => {
  expect(schema("Color")).toEqual({
    type: "string",
    description: "Colours.\n\n- `COLOR_UNSPECIFIED`\n- `COLOR_RED`: Like blood.",
    enum: ["COLOR_UNSPECIFIED", "COLOR_RED"],
  });
});
