/** Fields with their comments and rules. */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { commentOf } from "./comments.ts";
import { enumConstraints } from "./enum-schema.ts";
import { fieldRules, readRules } from "./rules.ts";
import { keySchema, scalarSchema } from "./scalar-schema.ts";
import type { Schemas } from "./schemas.ts";
import type { JsonObject, Schema } from "./types.ts";

/** The schema of a field's value. */
export function fieldSchema(field: DescField, schemas: Schemas): Schema {
  const { type: rules, notes } = fieldRules(field);
  const description = describeField(field, notes);
  return {
    ...valueSchema(field, rules, schemas),
    ...(description === "" ? {} : { description }),
    ...(field.deprecated ? { deprecated: true } : {}),
  };
}

/** What a caller should know of a field. */
export function describeField(field: DescField, notes: readonly string[] = []): string {
  return [commentOf(field), ...notes].filter((text) => text !== "").join("\n\n");
}

function valueSchema(field: DescField, rules: JsonObject, schemas: Schemas): Schema {
  switch (field.fieldKind) {
    case "list":
      return {
        type: "array",
        items: singleSchema(field, readRules(rules["items"]).type, schemas),
        ...size(rules, "minItems", "minItems"),
        ...size(rules, "maxItems", "maxItems"),
        ...(rules["unique"] === true ? { uniqueItems: true } : {}),
      };
    case "map": {
      const names = keySchema(field.mapKey, readRules(rules["keys"]).type);
      return {
        type: "object",
        ...(Object.keys(names).length === 0 ? {} : { propertyNames: names }),
        additionalProperties: singleSchema(field, readRules(rules["values"]).type, schemas),
        ...size(rules, "minPairs", "minProperties"),
        ...size(rules, "maxPairs", "maxProperties"),
      };
    }
    default:
      return singleSchema(field, rules, schemas);
  }
}

function size(rules: JsonObject, rule: string, keyword: string): Schema {
  return rules[rule] === undefined ? {} : ({ [keyword]: Number(rules[rule]) } as Schema);
}

/** One value: of the field itself, of an item, or of a map's entry. */
function singleSchema(field: DescField, rules: JsonObject, schemas: Schemas): Schema {
  if (field.scalar !== undefined) return scalarSchema(field.scalar, rules);
  if (field.enum !== undefined) {
    return { ...schemas.enum(field.enum), ...enumConstraints(field.enum, rules) };
  }
  return schemas.message(field.message as DescMessage, rules);
}
