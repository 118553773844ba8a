/**
 * The rules of buf.validate that a plain comparison can hold a value against.
 * What is not here, and whatever a comparison cannot decide, is left to
 * protovalidate: a predicate says "surely right", never "wrong".
 */
import { createRegistry, isFieldSet, type Message } from "@bufbuild/protobuf";
import { reflect } from "@bufbuild/protobuf/reflect";
import { file_buf_validate_validate } from "../../../gen/buf/validate/validate_pb.js";

/** Whether a value surely keeps to a rule. */
export type Predicate = (value: unknown) => boolean;

/** For rules that only protovalidate knows. */
export const undecided: Predicate = () => false;

type Rule = (limit: never) => Predicate;
const text = (check: (value: string) => boolean): Predicate => check as Predicate;
const number = (check: (value: number | bigint) => boolean): Predicate => check as Predicate;

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** Patterns that RE2 and JavaScript surely read alike: one class of characters, counted. */
const plainPattern = /^\^\[[A-Za-z0-9_-]+\]\{\d+,\d+\}\$$/;

const stringRules: Record<string, Rule> = {
  // A character is one or two UTF-16 units and at most three bytes a unit.
  min_len: (least: bigint) => text((value) => value.length >= Number(least) * 2 - 1),
  max_len: (most: bigint) => text((value) => value.length <= Number(most)),
  min_bytes: (least: bigint) => text((value) => value.length >= Number(least)),
  max_bytes: (most: bigint) =>
    text((value) => value.length * 3 <= most || Buffer.byteLength(value) <= most),
  prefix: (prefix: string) => text((value) => value.startsWith(prefix)),
  in: (allowed: Iterable<string>) => oneOf(allowed),
  uuid: (wanted: boolean) => (wanted ? text((value) => uuid.test(value)) : undecided),
  pattern(source: string) {
    if (!plainPattern.test(source)) return undecided;
    const pattern = new RegExp(source);
    return text((value) => pattern.test(value));
  },
};

const numberRules: Record<string, Rule> = {
  gt: (limit: number | bigint) => number((value) => value > limit),
  gte: (limit: number | bigint) => number((value) => value >= limit),
  lt: (limit: number | bigint) => number((value) => value < limit),
  lte: (limit: number | bigint) => number((value) => value <= limit),
  in: (allowed: Iterable<number>) => oneOf(allowed),
};

const listRules: Record<string, Rule> = {
  min_items: (least: bigint) => (value) => (value as unknown[]).length >= least,
  max_items: (most: bigint) => (value) => (value as unknown[]).length <= most,
};

const rulesOfTypes: Record<string, Record<string, Rule>> = {
  "buf.validate.StringRules": stringRules,
  "buf.validate.BytesRules": {
    min_len: (least: bigint) => (value) => (value as Uint8Array).byteLength >= least,
    max_len: (most: bigint) => (value) => (value as Uint8Array).byteLength <= most,
  },
  "buf.validate.EnumRules": {
    in: numberRules["in"]!,
    not_in(refused: Iterable<number>) {
      const isRefused = oneOf(refused);
      return (value) => !isRefused(value);
    },
  },
  "buf.validate.RepeatedRules": listRules,
  "buf.validate.MapRules": {
    min_pairs: (least: bigint) => (value) => Object.keys(value as object).length >= least,
    max_pairs: (most: bigint) => (value) => Object.keys(value as object).length <= most,
  },
};
for (const name of ["Int32", "Int64", "UInt32", "UInt64", "SInt32", "SInt64", "Double", "Float"]) {
  rulesOfTypes[`buf.validate.${name}Rules`] = numberRules;
}

function oneOf(values: Iterable<unknown>): Predicate {
  const set = new Set(values);
  return (value) => set.has(value);
}

const registry = createRegistry(file_buf_validate_validate);

/**
 * Predicates of a rules message (`StringRules`, `RepeatedRules`, …).
 * @param elsewhere rules that the caller looks after itself, by their proto names.
 */
export function predicatesOf(rules: Message, elsewhere: readonly string[] = []): Predicate[] {
  const schema = registry.getMessage(rules.$typeName);
  const known = rulesOfTypes[rules.$typeName];
  if (!schema || !known || rules.$unknown) return [undecided];
  const values = reflect(schema, rules);
  return schema.fields
    .filter((field) => isFieldSet(rules, field) && !elsewhere.includes(field.name))
    .map((field) => known[field.name]?.(values.get(field) as never) ?? undecided);
}
