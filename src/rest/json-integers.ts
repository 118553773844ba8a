/** 64-bit integers that a client writes as JSON numbers, which doubles would round. */
import { ScalarType, type DescField, type DescMessage, type JsonValue } from "@bufbuild/protobuf";
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
 * which take both, and numbers for everything else.
 */
export function settleBigints(json: JsonValue, desc: DescMessage | undefined): JsonValue {
  if (typeof json === "bigint") {
    const isLong = desc?.typeName.endsWith("Int64Value") === true && isOpaque(desc);
    return isLong ? String(json) : Number(json);
  }
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) return json.map((item) => settleBigints(item, desc));
  const fields = desc === undefined || isOpaque(desc) ? [] : desc.fields;
  return mapValues(json, (key, value) => {
    const field = fields.find(({ jsonName, name }) => jsonName === key || name === key);
    if (field?.fieldKind !== "map") return settleField(value, field);
    if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
    return mapValues(value, (_key, item) => settleField(item, field));
  });
}

function settleField(json: JsonValue, field: DescField | undefined): JsonValue {
  if (typeof json === "bigint") {
    return longTypes.has(field?.scalar) ? String(json) : settleBigints(json, field?.message);
  }
  if (Array.isArray(json)) return json.map((item) => settleField(item, field));
  return settleBigints(json, field?.message);
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
