/** Messages to show, made from their fields and rules. */
import { ScalarType, type DescField, type DescMessage } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { fieldRules, readRules, requiredMembers } from "./rules.ts";
import type { Json, JsonObject } from "./types.ts";

/** Stands for an id that callers have from elsewhere. */
export const placeholderId = "01980000-0000-7000-8000-000000000000";

/** Chooses the fields to show. */
type Choice = (desc: DescMessage) => readonly DescField[];

/** Messages inside of messages that are shown. */
const deepest = 4;

/** The JSON of a message that has only what a valid one cannot go without. */
export function smallestMessage(desc: DescMessage): JsonObject {
  return build(desc, requiredFields, 0);
}

/** The JSON of a message that has everything, of each oneof the first member. */
export function fullMessage(desc: DescMessage): JsonObject {
  return build(desc, allFields, 0);
}

/** A value that a field may have. */
export function exampleOf(field: DescField): Json {
  return value(field, requiredFields, 0);
}

function requiredFields(desc: DescMessage): DescField[] {
  return [...requiredMembers(desc)].flatMap((member) =>
    member.kind === "oneof" ? member.fields.slice(0, 1) : [member],
  );
}

function allFields(desc: DescMessage): DescField[] {
  return desc.fields.filter(
    (field) => field.oneof === undefined || field.oneof.fields[0] === field,
  );
}

function build(desc: DescMessage, choose: Choice, depth: number): JsonObject {
  const fields = depth < deepest ? choose(desc) : requiredFields(desc);
  return Object.fromEntries(fields.map((field) => [field.jsonName, value(field, choose, depth)]));
}

function value(field: DescField, choose: Choice, depth: number): Json {
  const { type: rules } = fieldRules(field);
  switch (field.fieldKind) {
    case "list": {
      const count = Math.max(1, Number(rules["minItems"] ?? 1));
      const item = single(field, readRules(rules["items"]).type, choose, depth);
      return Array.from({ length: count }, () => item);
    }
    case "map":
      return {};
    default:
      return single(field, rules, choose, depth);
  }
}

function single(field: DescField, rules: JsonObject, choose: Choice, depth: number): Json {
  const values = [rules["example"] ?? rules["const"] ?? rules["in"] ?? []].flat() as Json[];
  const chosen = values.find((candidate) => candidate !== "") ?? values[0];
  if (field.enum !== undefined) {
    const refused = new Set([0, rules["notIn"] ?? []].flat());
    const number = chosen ?? field.enum.values.find((one) => !refused.has(one.number))?.number;
    return field.enum.value[Number(number ?? 0)]?.name ?? "";
  }
  if (field.message !== undefined) return messageValue(field.message, rules, choose, depth);
  if (chosen !== undefined) return chosen;
  switch (field.scalar) {
    case ScalarType.STRING:
      return text(field.name, rules);
    case ScalarType.BYTES:
      return "SGVsbG8=";
    case ScalarType.BOOL:
      return true;
    default: {
      const least = Number(rules["gte"] ?? Number(rules["gt"] ?? 0) + 1);
      return longs.has(field.scalar) ? String(least) : least;
    }
  }
}

/** Written as strings. */
const longs: ReadonlySet<ScalarType | undefined> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);

function text(name: string, rules: JsonObject): string {
  if (rules["uuid"] === true) return placeholderId;
  if (rules["email"] === true) return "someone@example.com";
  if (rules["uri"] === true) return "https://example.com/";
  if (rules["hostname"] === true || rules["address"] === true) return "example.com";
  const length = Number(rules["minLen"] ?? rules["minBytes"] ?? rules["len"] ?? 0);
  return `${String(rules["prefix"] ?? "")}${name}${String(rules["suffix"] ?? "")}`.padEnd(
    length,
    ".",
  );
}

function messageValue(desc: DescMessage, rules: JsonObject, choose: Choice, depth: number): Json {
  switch (desc.typeName) {
    case "google.protobuf.Timestamp":
      return "2026-01-31T12:00:00Z";
    case "google.protobuf.Duration":
      return rules["gte"] === undefined || rules["gte"] === "0s" ? "60s" : rules["gte"];
    case "google.protobuf.FieldMask":
      return "";
    case "google.protobuf.ListValue":
      return [];
    case "google.protobuf.Value":
      return null;
    case "google.protobuf.Struct":
    case "google.protobuf.Any":
      return {};
    default:
      if (isWrapperDesc(desc)) return single(desc.fields[0], rules, choose, depth);
      return build(desc, choose, depth + 1);
  }
}
