/** JSON that is the same for equal messages, so that its hash can be an entity tag. */
import type { DescMessage, JsonValue } from "@bufbuild/protobuf";

/**
 * Whether the JSON of equal messages may differ: the entries of maps, of Struct,
 * and of what is packed in Any keep the order in which they were made.
 */
export function hasUnorderedParts(desc: DescMessage, seen = new Set<DescMessage>()): boolean {
  if (seen.has(desc)) return false;
  seen.add(desc);
  if (/^google\.protobuf\.(?:Struct|Value|ListValue|Any)$/.test(desc.typeName)) return true;
  if (desc.proto.extensionRange.length > 0) return true;
  return desc.fields.some(
    (field) =>
      field.fieldKind === "map" ||
      (field.message !== undefined && hasUnorderedParts(field.message, seen)),
  );
}

/** A copy whose objects have their keys in the order of their code units. */
export function sortKeys(json: JsonValue): JsonValue {
  if (typeof json !== "object" || json === null) return json;
  if (Array.isArray(json)) return json.map(sortKeys);
  const entries = Object.entries(json).map(([key, value]) => [key, sortKeys(value)] as const);
  return Object.fromEntries(entries.sort(([one], [other]) => (one < other ? -1 : 1)));
}
