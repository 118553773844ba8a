/** Numbers of a JSON text that doubles would round, or cannot hold at all. */
import { ScalarType, type DescField, type DescMessage, type JsonValue } from "@bufbuild/protobuf";
import { invalidArgument } from "./errors.ts";
import { isOpaque } from "./field-path.ts";

const longTypes: ReadonlySet<ScalarType | undefined> = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.SINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
]);

/**
 * Replaces the bigints of a parsed JSON text: strings for fields of 64 bits,
 * which take both, and numbers for everything else. Throws INVALID_ARGUMENT for
 * a number that is too great for any field: as an infinite one it could be read,
 * into a google.protobuf.Value, but never be written again.
 */
export function settleNumbers(json: JsonValue, desc: DescMessage | undefined): JsonValue {
  return settle(json, desc, "", 0);
}

/** Deeper than any message may be; the reader refuses what comes here. */
const deepest = 250;

function settle(
  json: JsonValue,
  desc: DescMessage | undefined,
  path: string,
  depth: number,
): JsonValue {
  if (depth > deepest) return null;
  if (typeof json === "bigint") {
    const isLong = desc?.typeName.endsWith("Int64Value") === true && isOpaque(desc);
    return isLong ? String(json) : finite(Number(json), path);
  }
  if (typeof json === "number") return finite(json, path);
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) {
    return json.map((item, index) => settle(item, desc, `${path}[${index}]`, depth + 1));
  }
  const fields = desc === undefined || isOpaque(desc) ? [] : desc.fields;
  return mapValues(json, (key, value) => {
    const here = path === "" ? key : `${path}.${key}`;
    const field = fields.find(({ jsonName, name }) => jsonName === key || name === key);
    if (field?.fieldKind !== "map") return settleField(value, field, here, depth + 1);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return mapValues(value, (entry, item) =>
      settleField(item, field, `${here}[${JSON.stringify(entry)}]`, depth + 2),
    );
  });
}

function settleField(
  json: JsonValue,
  field: DescField | undefined,
  path: string,
  depth: number,
): JsonValue {
  if (typeof json === "bigint") {
    return longTypes.has(field?.scalar) ? String(json) : settle(json, field?.message, path, depth);
  }
  if (depth > deepest) return null;
  if (Array.isArray(json)) {
    return json.map((item, index) => settleField(item, field, `${path}[${index}]`, depth + 1));
  }
  return settle(json, field?.message, path, depth);
}

function finite(value: number, path: string): number {
  if (Number.isFinite(value)) return value;
  throw invalidArgument(path, "the number is too great");
}

type JsonObject = { [key: string]: JsonValue };

/** Keys like `__proto__` stay keys. */
function mapValues(
  object: JsonObject,
  change: (key: string, value: JsonValue) => JsonValue,
): JsonObject {
  return Object.fromEntries(
    Object.entries(object).map(([key, value]) => [key, change(key, value)] as const),
  );
}
