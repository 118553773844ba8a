/** Messages as objects of their fields. */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import type { FieldPath } from "../rest/index.ts";
import { commentOf } from "./comments.ts";
import { fullMessage } from "./example-message.ts";
import { fieldSchema } from "./field-schema.ts";
import { messageRules, requiredMembers } from "./rules.ts";
import type { Schemas } from "./schemas.ts";
import type { Schema } from "./types.ts";

/**
 * The schema of a message. Without the fields at the paths of `without`, which
 * are set elsewhere.
 */
export function objectSchema(
  desc: DescMessage,
  schemas: Schemas,
  without: readonly FieldPath[] = [],
): Schema {
  const gone = new Set(without.filter((path) => path.length === 1).map(([field]) => field));
  const fields = desc.fields.filter((field) => !gone.has(field));
  const required = requiredMembers(desc);
  const { notes, oneofs } = messageRules(desc);
  const description = [commentOf(desc), ...notes].filter((text) => text !== "").join("\n\n");
  const properties = fields.map((field) => [
    field.jsonName,
    memberSchema(field, schemas, pathsBelow(field, without)),
  ]);
  const names = fields.filter((field) => required.has(field)).map((field) => field.jsonName);
  const groups = [
    ...desc.oneofs
      .filter((oneof) => oneof.fields.every((field) => !gone.has(field)))
      .map((oneof) => oneofSchema(oneof.fields, required.has(oneof))),
    ...oneofs.map((oneof) => {
      const members = fields.filter((field) => oneof.fields.includes(field.name));
      return oneofSchema(members, oneof.required);
    }),
  ];
  return {
    type: "object",
    ...(description === "" ? {} : { description }),
    ...(properties.length === 0 ? {} : { properties: Object.fromEntries(properties) }),
    ...(names.length === 0 ? {} : { required: names }),
    ...(groups.length === 1 ? groups[0] : groups.length > 1 ? { allOf: groups } : {}),
    ...(desc.deprecated ? { deprecated: true } : {}),
    // Viewers would show all members of a oneof at once.
    ...(desc.oneofs.length > 0 && without.length === 0 ? { examples: [fullMessage(desc)] } : {}),
  };
}

/** What of `without` lies inside a field. */
function pathsBelow(field: DescField, without: readonly FieldPath[]): FieldPath[] {
  return without
    .filter((path) => path.length > 1 && path[0] === field)
    .map((path) => path.slice(1));
}

function memberSchema(field: DescField, schemas: Schemas, without: readonly FieldPath[]): Schema {
  if (without.length === 0 || field.fieldKind !== "message") return fieldSchema(field, schemas);
  const schema = objectSchema(field.message, schemas, without);
  return { ...schema, description: commentOf(field) || (schema.description ?? "") };
}

/** Says that one of these fields, or at most one, is set. */
function oneofSchema(fields: readonly DescField[], required: boolean): Schema {
  const choices: Schema[] = fields.map((field) => ({ required: [field.jsonName] }));
  return { oneOf: required ? choices : [...choices, { not: { anyOf: choices } }] };
}
