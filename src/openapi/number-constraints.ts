/** Rules for numbers and durations as constraints of JSON Schema. */
import type { Json, JsonObject, Schema } from "./types.ts";

/** Constraints of a number that JSON writes as a number. */
export function numberConstraints(rules: JsonObject): Schema {
  const { gt, gte, lt, lte } = rules as Record<string, number | undefined>;
  const least: Schema =
    gt !== undefined ? { exclusiveMinimum: gt } : gte !== undefined ? { minimum: gte } : {};
  const greatest: Schema =
    lt !== undefined ? { exclusiveMaximum: lt } : lte !== undefined ? { maximum: lte } : {};
  const low = gt ?? gte;
  const high = lt ?? lte;
  // Bounds the wrong way round mean everything but what is between them.
  const outside = low !== undefined && high !== undefined && low > high;
  const range = outside ? { anyOf: [greatest, least] } : { ...least, ...greatest };
  return { ...range, ...listConstraints(rules) };
}

/**
 * Constraints of a number that JSON writes as a string: bounds, which JSON
 * Schema has for numbers only, are extensions; the sign is in the pattern.
 */
export function longConstraints(rules: JsonObject, unsigned: boolean): Schema {
  const { gt, gte } = rules as Record<string, string | undefined>;
  const natural =
    unsigned || (gt !== undefined && Number(gt) >= -1) || (gte !== undefined && Number(gte) >= 0);
  return {
    pattern: natural ? "^[0-9]+$" : "^-?[0-9]+$",
    ...boundExtensions(rules),
    ...listConstraints(rules),
  };
}

/** Bounds of what JSON Schema cannot compare, such as durations, as extensions. */
export function boundExtensions({ gt, gte, lt, lte }: JsonObject): Schema {
  return {
    ...(gt === undefined ? {} : { "x-exclusive-minimum": gt }),
    ...(gte === undefined ? {} : { "x-minimum": gte }),
    ...(lt === undefined ? {} : { "x-exclusive-maximum": lt }),
    ...(lte === undefined ? {} : { "x-maximum": lte }),
  };
}

/** The rules that all types have: one value, some values, not some values, examples. */
export function listConstraints({ const: only, in: some, notIn, example }: JsonObject): Schema {
  return {
    ...(only === undefined ? {} : { const: only }),
    ...(some === undefined ? {} : { enum: some as Json[] }),
    ...(notIn === undefined ? {} : { not: { enum: notIn as Json[] } }),
    ...(example === undefined ? {} : { examples: example as Json[] }),
  };
}
