/**
 * For random templates and messages: a request that is rendered from a message,
 * by a renderer of the test's own, comes back as an equal message.
 */
import { equals, fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import fc from "fast-check";
import { expect, it } from "vitest";
import { collectRules, type RestRule } from "../../src/rest/index.ts";
import { recordCalls } from "./support/echo.ts";
import { compileProto, serviceOf } from "./support/proto.ts";
import { patternText, renderRequest } from "./support/render.ts";
import { startRest, type TestServer } from "./support/server.ts";

const messages = `
  message Leaf { string id = 1; int32 number = 2; repeated string tags = 3; Leaf leaf = 4; optional bool flag = 5; }
  enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; COLOR_GREEN = 2; }
  message Request {
    string name = 1; string long_title = 2; int32 number = 3; int64 big = 4; bool flag = 5;
    Color color = 6; bytes raw = 7; double ratio = 8; Leaf leaf = 9; repeated string tags = 10;
    repeated int64 bigs = 11; repeated Color colors = 12; optional string note = 13;
    google.protobuf.Timestamp time = 14; google.protobuf.Duration duration = 15;
    google.protobuf.FieldMask mask = 16; google.protobuf.StringValue wrapped = 17;
    google.protobuf.UInt64Value wrapped_big = 18;
    oneof choice { string choice_text = 20; int32 choice_number = 21; Leaf choice_leaf = 22; }
    repeated Leaf leaves = 30; map<string, int64> counts = 31; google.protobuf.Struct struct = 32;
    google.protobuf.Value value = 33;
  }`;

const text = fc.string({ unit: "binary", maxLength: 12 }).filter((value) => value.isWellFormed());
const word = text.map((value) => value.replaceAll("/", "_"));
const int32 = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String);
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String);
const color = fc.constantFrom("COLOR_UNSPECIFIED", "COLOR_RED", "COLOR_GREEN");
const ratio = fc
  .double({ noNaN: true })
  .map((value) => (Number.isFinite(value) ? value + 0 : String(value)));

const { leaf } = fc.letrec<{ leaf: JsonObject }>((tie) => ({
  leaf: fc
    .record(
      {
        id: text,
        number: int32,
        tags: fc.array(text, { minLength: 1, maxLength: 3 }),
        flag: fc.boolean(),
        leaf: tie("leaf"),
      },
      { requiredKeys: ["id"] },
    )
    .map((value) => value as JsonObject),
}));

/** Fields that a query or a path can carry. */
const parameters = {
  name: text,
  longTitle: text,
  number: int32,
  big: int64,
  flag: fc.boolean(),
  color,
  raw: fc.uint8Array({ maxLength: 9 }).map((bytes) => Buffer.from(bytes).toString("base64")),
  ratio,
  leaf,
  tags: fc.array(text, { minLength: 1, maxLength: 3 }),
  bigs: fc.array(int64, { minLength: 1, maxLength: 3 }),
  colors: fc.array(color, { minLength: 1, maxLength: 3 }),
  note: text,
  time: fc
    .integer({ min: -62_135_596_800_000, max: 253_402_300_799_999 })
    .map((milliseconds) => new Date(milliseconds).toISOString()),
  duration: fc.constantFrom("0s", "1.5s", "-0.000000001s", "315576000000s"),
  mask: fc.constantFrom("", "name", "longTitle,leaf.id"),
  wrapped: text,
  wrappedBig: uint64,
};
/** Fields that only a body can carry. */
const bodyOnly = {
  leaves: fc.array(leaf, { minLength: 1, maxLength: 3 }),
  counts: fc.dictionary(text, int64, { minKeys: 1, maxKeys: 3 }),
  struct: fc.dictionary(text, fc.jsonValue({ maxDepth: 2 }), { maxKeys: 3 }),
  value: fc.jsonValue({ maxDepth: 2 }),
};
const choice = fc.oneof(
  fc.constant({}),
  fc.record({ choiceText: text }),
  fc.record({ choiceNumber: int32 }),
  fc.record({ choiceLeaf: leaf }),
);

const messageJson = fc
  .tuple(fc.record({ ...parameters, ...bodyOnly }, { requiredKeys: [] }), choice)
  .map(([fields, chosen]) => ({ ...fields, ...chosen }) as JsonObject);

/** Fields that a variable may bind, and the patterns that it may have. */
const bindable = {
  name: true,
  long_title: true,
  note: true,
  choice_text: true,
  "leaf.id": true,
  number: false,
  big: false,
  flag: false,
  color: false,
  raw: false,
  ratio: false,
  "leaf.number": false,
};
const inner = fc.constantFrom("", "=*", "=a/*", "=*/b%20c", "=a/*/b/*", "=fixed");
const last = fc.constantFrom("=**", "=a/**", "=*/b/**");
/** Fields that may be the body of a rule, if the path binds none of them. */
const bodies =
  "name bigs note color raw leaf leaves counts choice_leaf struct value time mask wrapped_big";

const template = fc
  .record({
    fields: fc.uniqueArray(fc.constantFrom(...Object.keys(bindable)), { maxLength: 3 }),
    patterns: fc.array(inner, { minLength: 3, maxLength: 3 }),
    between: fc.array(fc.constantFrom("", "/x", "/*", "/a%2Fb"), { minLength: 4, maxLength: 4 }),
    end: fc.option(last, { nil: undefined }),
    verb: fc.constantFrom("", ":run", ":r%20n"),
  })
  .map(({ fields, patterns, between, end, verb }) => {
    const variables = fields.map((field, index) => {
      const takesPattern = bindable[field as keyof typeof bindable];
      const isLast = index === fields.length - 1 && end !== undefined;
      const pattern = takesPattern ? (isLast ? end : (patterns[index] ?? "")) : "";
      return { text: `${between[index] ?? ""}/{${field}${pattern}}`, open: pattern.endsWith("**") };
    });
    const tail = variables.at(-1)?.open === true ? "" : (between[3] ?? "");
    return `${variables.map((variable) => variable.text).join("")}${tail}${verb}`;
  });

const kinds = ["get", "post", "put", "patch", "delete", "LOCK", "*"];
const rule = fc
  .record({
    template,
    kind: fc.constantFrom(...kinds),
    body: fc.oneof(fc.constantFrom("", "*"), fc.constantFrom(...bodies.split(" "))),
  })
  .map(({ template, kind, body }) => {
    const isFree = kind !== "get" && !template.includes(`{${body}`);
    return { template, kind, body: isFree ? body : "" };
  });

const sample = fc.record({
  json: messageJson,
  words: fc.array(word, { minLength: 12, maxLength: 12 }),
  /** How many segments `**` matches. */
  depth: fc.integer({ min: 0, max: 3 }),
});

type Sample = typeof sample extends fc.Arbitrary<infer Value> ? Value : never;

/** Leaves out what the rule cannot carry, and fills in what its path needs. */
function fit({ variables, template, body }: RestRule, { json, words, depth }: Sample): JsonObject {
  const fitted = structuredClone(json);
  if (body !== "*") {
    for (const name of Object.keys(bodyOnly)) if (name !== body?.jsonName) delete fitted[name];
  }
  let used = 0;
  const nextWord = (): string => words[used++] ?? "";
  for (const { fields, start, end } of variables) {
    let holder = fitted;
    for (const field of fields.slice(0, -1)) {
      holder = (holder[field.jsonName] ??= {}) as JsonObject;
    }
    const field = fields.at(-1);
    if (field === undefined) continue;
    for (const other of field.oneof?.fields ?? []) {
      if (other !== field) delete holder[other.jsonName];
    }
    const text = patternText(template.segments.slice(start, end), nextWord, depth);
    if (text !== undefined) {
      holder[field.jsonName] = text;
    } else if (field.oneof !== undefined || field.proto.proto3Optional) {
      holder[field.jsonName] ??= "";
    }
  }
  return fitted;
}

it("gives back what was rendered", { timeout: 120_000 }, async () => {
  let calls = 0;
  const { failed, seed, errorInstance } = await fc.check(
    fc.asyncProperty(
      fc.array(rule, { minLength: 20, maxLength: 20 }),
      fc.array(sample, { minLength: 8, maxLength: 8 }),
      async (rules, samples) => {
        const registry = compileProto(`${messages}
          service TestService { ${rules
            .map(
              ({ template, kind, body }, index) =>
                `rpc Rule${index}(Request) returns (Request) { option (google.api.http) = {
                  ${patternOf(kind, `/rule${index}${template}`)} body: "${body}"
                }; }`,
            )
            .join("\n")} }`);
        const service = serviceOf(registry);
        const recorder = recordCalls(service, registry);
        const server = await startRest({ routes: recorder.routes });
        try {
          for (const rule of collectRules(service.methods)) {
            for (const sample of samples) {
              await roundTrip(server, recorder, rule, fit(rule, sample), sample.words);
              calls++;
            }
          }
        } finally {
          await server.close();
        }
      },
    ),
    // The failing request is in the message; compiling ever smaller services takes too long.
    { numRuns: 12, endOnFailure: true },
  );
  if (failed) throw new Error(`seed ${seed}`, { cause: errorInstance });
  expect(calls).toBeGreaterThanOrEqual(12 * 20 * 8);
});

function patternOf(kind: string, path: string): string {
  return kinds.indexOf(kind) < 5
    ? `${kind}: "${path}"`
    : `custom: { kind: "${kind}" path: "${path}" }`;
}

async function roundTrip(
  server: TestServer,
  { calls, messages }: ReturnType<typeof recordCalls>,
  rule: RestRule,
  json: JsonObject,
  fillers: readonly string[],
): Promise<void> {
  calls.length = 0;
  messages.length = 0;
  const { method } = rule;
  const request = renderRequest(rule, json, fillers);
  const response = await server.send(request);
  const sent = fromJson(method.input, json as JsonValue);
  const [received] = messages;
  const isEqual = received !== undefined && equals(method.input, sent, received);
  const seen = { request, answer: response.text, json, rpc: calls[0]?.rpc, isEqual };
  expect(seen).toMatchObject({ rpc: method.name, isEqual: true });
}
