/** Says what is wrong with a request that cannot be decoded, naming the field where it can. */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { isUtf8 } from "node:buffer";

/** The message of the error, for example `system: must be valid UTF-8`. */
export function describeUnreadable(
  schema: DescMessage,
  bytes: Uint8Array,
  reason: unknown,
): string {
  const field = findInvalidUtf8(schema, bytes);
  if (field !== undefined) return `${field}: must be valid UTF-8`;
  const detail = reason instanceof Error ? `: ${reason.message}` : "";
  return `the request is not a valid ${schema.typeName}${detail}`;
}

/** JSON path of the first string that is not UTF-8. */
function findInvalidUtf8(schema: DescMessage, bytes: Uint8Array, depth = 0): string | undefined {
  if (depth > 100) return undefined;
  const reader = new BinaryReader(bytes);
  const counts = new Map<DescField, number>();
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      const field = schema.fields.find((candidate) => candidate.number === number);
      if (!field || wireType !== WireType.LengthDelimited) {
        reader.skip(wireType, number);
        continue;
      }
      const value = reader.bytes();
      const index = counts.get(field) ?? 0;
      counts.set(field, index + 1);
      const name = field.fieldKind === "list" ? `${field.jsonName}[${index}]` : field.jsonName;
      if (isString(field)) {
        if (!isUtf8(value)) return name;
      } else if (field.fieldKind === "map") {
        if (!isUtf8MapEntry(field, value)) return name;
      } else if (field.message) {
        const inner = findInvalidUtf8(field.message, value, depth + 1);
        if (inner !== undefined) return `${name}.${inner}`;
      }
    }
  } catch {
    // Broken beyond this point; the decoder's own words have to do.
  }
  return undefined;
}

function isString(field: DescField): boolean {
  return (
    (field.fieldKind === "scalar" || (field.fieldKind === "list" && field.listKind === "scalar")) &&
    field.scalar === ScalarType.STRING
  );
}

/** A map's entry is a message of a key (1) and a value (2). */
function isUtf8MapEntry(field: DescField & { fieldKind: "map" }, entry: Uint8Array): boolean {
  const reader = new BinaryReader(entry);
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    if (wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, number);
      continue;
    }
    const value = reader.bytes();
    const text =
      number === 1
        ? field.mapKey === ScalarType.STRING
        : field.mapKind === "scalar" && field.scalar === ScalarType.STRING;
    if (text && !isUtf8(value)) return false;
    if (number === 2 && field.mapKind === "message" && findInvalidUtf8(field.message, value, 1)) {
      return false;
    }
  }
  return true;
}
