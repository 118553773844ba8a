/** Says what is wrong with a request that cannot be decoded, naming the field where it can. */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { isUtf8 } from "node:buffer";
import { DomainError, invalidField } from "../errors.ts";
import { subscript } from "./validation/path.ts";

/** The error for bytes that `fromBinary` has refused. */
export function unreadableRequest(
  schema: DescMessage,
  bytes: Uint8Array,
  reason: unknown,
): DomainError {
  const field = findInvalidUtf8(schema, bytes);
  if (field !== undefined) return invalidField(field, "must be valid UTF-8");
  const detail = reason instanceof Error ? `: ${reason.message}` : "";
  const text = `the request is not a valid ${schema.typeName}${detail}`;
  return new DomainError("INVALID_ARGUMENT", "MALFORMED_REQUEST", text, { cause: reason });
}

/** As deep as the decoder itself goes. */
const maxDepth = 100;

/** JSON path of the first string that is not UTF-8. */
function findInvalidUtf8(schema: DescMessage, bytes: Uint8Array, depth = 0): string | undefined {
  if (depth > maxDepth) return undefined;
  const counts = new Map<DescField, number>();
  for (const [number, value] of lengthDelimited(bytes)) {
    const field = schema.fields.find((candidate) => candidate.number === number);
    if (!field) continue;
    const index = counts.get(field) ?? 0;
    counts.set(field, index + 1);
    if (field.fieldKind === "map") {
      const inner = findInMapEntry(field, value, depth);
      if (inner !== undefined) return field.jsonName + inner;
      continue;
    }
    const name = field.fieldKind === "list" ? `${field.jsonName}[${index}]` : field.jsonName;
    if (field.message) {
      const inner = findInvalidUtf8(field.message, value, depth + 1);
      if (inner !== undefined) return `${name}.${inner}`;
    } else if (field.scalar === ScalarType.STRING && !isUtf8(value)) {
      return name;
    }
  }
  return undefined;
}

/** A map's entry is a message of a key (1) and a value (2). */
function findInMapEntry(
  field: DescField & { fieldKind: "map" },
  entry: Uint8Array,
  depth: number,
): string | undefined {
  let key = "";
  for (const [number, value] of lengthDelimited(entry)) {
    if (number === 1 && field.mapKey === ScalarType.STRING) {
      if (!isUtf8(value)) return "";
      key = subscript(Buffer.from(value).toString());
    }
    if (number === 2 && field.scalar === ScalarType.STRING && !isUtf8(value)) return key;
    if (number === 2 && field.message) {
      const inner = findInvalidUtf8(field.message, value, depth + 1);
      if (inner !== undefined) return `${key}.${inner}`;
    }
  }
  return undefined;
}

/** The fields that may hold text, up to where the bytes make no more sense. */
function* lengthDelimited(bytes: Uint8Array): Iterable<[number: number, value: Uint8Array]> {
  const reader = new BinaryReader(bytes);
  try {
    while (reader.pos < reader.len) {
      const [number, wireType] = reader.tag();
      if (wireType === WireType.LengthDelimited) yield [number, reader.bytes()];
      else reader.skip(wireType, number);
    }
  } catch {
    // The decoder's own words have to do for the rest.
  }
}
