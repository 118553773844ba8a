/** Messages of any type for property tests: mostly small, often at the edge of a rule. */
import {
  create,
  type DescField,
  type DescMessage,
  type Message,
  ScalarType,
} from "@bufbuild/protobuf";
import fc from "fast-check";

const strings = fc.oneof(
  fc.constantFrom("", "a", "Hello", "a b", "image/png", "https://a.b/c", "http://a", "é".repeat(3)),
  fc.constantFrom("0198c0de-0000-7000-8000-000000000000", "0198C0DE-0000-7000-8000-00000000000g"),
  fc.constantFrom("nul\0", "half\ud800", "😀", "\ufeff"),
  fc.constantFrom(63, 64, 65, 255, 256, 257, 1024, 1025).map((length) => "x".repeat(length)),
  fc.constantFrom(128, 129).map((length) => "😀".repeat(length)),
  fc.string({ maxLength: 8 }),
);
const numbers = fc.constantFrom(-1, 0, 1, 2, 3, 16, 200, 201, 1000, 1_000_000, 1_000_001);
const doubles = fc.constantFrom(-0.1, 0, 1, 2, 2.1, Number.NaN, Number.POSITIVE_INFINITY);
const json = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.constantFrom("nul\0", "half\udc00"));

/** Any message of a type. `depth` bounds how deep messages nest. */
export function arbitraryMessage(schema: DescMessage, depth = 3): fc.Arbitrary<Message> {
  const members: Record<string, fc.Arbitrary<unknown>> = {};
  for (const member of schema.members) {
    if (member.kind === "field") {
      members[member.localName] = fc.oneof(
        { weight: 4, arbitrary: fc.constant(undefined) },
        { weight: 1, arbitrary: fieldValue(member, depth) },
      );
    } else {
      const cases = member.fields.map((field) =>
        fc.record({ case: fc.constant(field.localName), value: fieldValue(field, depth) }),
      );
      members[member.localName] = fc.oneof(fc.constant({ case: undefined }), ...cases);
    }
  }
  return fc.record(members).map((init) => {
    const given = Object.entries(init).filter(([, value]) => value !== undefined);
    return create(schema, Object.fromEntries(given) as never);
  });
}

function fieldValue(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.fieldKind === "list") {
    const few = fc.array(single(field, depth), { maxLength: 3 });
    return field.message
      ? few
      : fc.oneof(few, fc.array(single(field, 0), { minLength: 15, maxLength: 18 }));
  }
  if (field.fieldKind === "map") {
    return fc.dictionary(
      strings.filter((key) => key !== "__proto__"),
      single(field, depth),
      { maxKeys: 18 },
    );
  }
  return single(field, depth);
}

function single(field: DescField, depth: number): fc.Arbitrary<unknown> {
  if (field.message?.typeName === "google.protobuf.Struct") {
    return fc.dictionary(
      strings.filter((key) => key !== "__proto__"),
      json,
      { maxKeys: 2 },
    );
  }
  if (field.message) {
    return depth > 0
      ? arbitraryMessage(field.message, depth - 1)
      : fc.constant(create(field.message));
  }
  if (field.enum) return fc.constantFrom(...field.enum.values.map(({ number }) => number), 99);
  switch (field.scalar) {
    case ScalarType.STRING:
      return strings;
    case ScalarType.BYTES:
      return fc.uint8Array({ maxLength: 4 });
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return doubles;
    case ScalarType.INT64:
    case ScalarType.UINT64:
      return numbers.map(BigInt);
    default:
      return numbers;
  }
}
