/** Scalars as proto3 JSON writes them: https://protobuf.dev/programming-guides/json/ */
import { ScalarType } from "@bufbuild/protobuf";
import { listConstraints, longConstraints, numberConstraints } from "./number-constraints.ts";
import { bytesConstraints, stringConstraints } from "./text-constraints.ts";
import type { JsonObject, Schema } from "./types.ts";

/** The schema of a scalar with its rules. */
export function scalarSchema(type: ScalarType, rules: JsonObject): Schema {
  switch (type) {
    case ScalarType.STRING:
      return { type: "string", ...stringConstraints(rules) };
    case ScalarType.BYTES:
      return { type: "string", contentEncoding: "base64", ...bytesConstraints(rules) };
    case ScalarType.BOOL:
      return { type: "boolean", ...listConstraints(rules) };
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return floatSchema(type === ScalarType.DOUBLE ? "double" : "float", rules);
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
      return {
        type: "integer",
        format: "uint32",
        minimum: 0,
        maximum: 0xffffffff,
        ...numberConstraints(rules),
      };
    case ScalarType.INT32:
    case ScalarType.SINT32:
    case ScalarType.SFIXED32:
      return { type: "integer", format: "int32", ...numberConstraints(rules) };
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return { type: "string", format: "uint64", ...longConstraints(rules, true) };
    default:
      return { type: "string", format: "int64", ...longConstraints(rules, false) };
  }
}

/** What is no number is written as a word, unless a rule excludes it. */
function floatSchema(format: string, rules: JsonObject): Schema {
  const constraints = numberConstraints(rules);
  const number: Schema = { type: "number", format, ...constraints };
  const finite =
    rules["finite"] === true || rules["in"] !== undefined || rules["const"] !== undefined;
  const words = [
    ...(hasBound(rules) ? [] : ["NaN"]),
    ...(rules["lt"] === undefined && rules["lte"] === undefined ? ["Infinity"] : []),
    ...(rules["gt"] === undefined && rules["gte"] === undefined ? ["-Infinity"] : []),
  ];
  return finite || words.length === 0 ? number : { anyOf: [number, { enum: words }] };
}

function hasBound(rules: JsonObject): boolean {
  return ["gt", "gte", "lt", "lte"].some((name) => rules[name] !== undefined);
}

/** The schema of a map's key, which JSON writes as a string. */
export function keySchema(type: ScalarType, rules: JsonObject): Schema {
  switch (type) {
    case ScalarType.STRING:
      return stringConstraints(rules);
    case ScalarType.BOOL:
      return { enum: ["true", "false"] };
    case ScalarType.UINT32:
    case ScalarType.FIXED32:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return longConstraints(rules, true);
    default:
      return longConstraints(rules, false);
  }
}
