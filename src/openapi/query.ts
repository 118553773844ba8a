/** The query parameters that a rule takes. */
import type { DescField, DescMessage } from "@bufbuild/protobuf";
import { jsonPath, parameterReader, type FieldPath, type RestRule } from "../rest/index.ts";
import { fieldSchema } from "./field-schema.ts";
import { requiredMembers } from "./rules.ts";
import type { Schemas } from "./schemas.ts";
import type { Json, Parameter } from "./types.ts";
import { wellKnownSchema } from "./well-known-schema.ts";

/**
 * Writes a parameter for every field that neither the path nor the body sets,
 * fields of messages by their dotted names. `values` are examples by name.
 */
export function queryParameters(
  rule: RestRule,
  schemas: Schemas,
  values: ReadonlyMap<string, Json>,
): Parameter[] {
  if (rule.body === "*") return [];
  const parameters: Parameter[] = [];
  collect(rule.method.input, [], true);
  return parameters;

  function collect(message: DescMessage, above: FieldPath, required: boolean): void {
    for (const field of message.fields) {
      const path = [...above, field];
      if (path[0] === rule.body || rule.variables.some(({ fields }) => covers(fields, path))) {
        continue;
      }
      const mustBeSet = required && requiredMembers(message).has(field);
      if (parameterReader(field) !== undefined) parameters.push(write(path, field, mustBeSet));
      else if (isPassable(field) && path.every((outer) => outer.parent !== field.message)) {
        collect(field.message, path, mustBeSet);
      }
    }
  }

  function write(path: FieldPath, field: DescField, required: boolean): Parameter {
    const name = jsonPath(path);
    const { description, deprecated, ...schema } = fieldSchema(field, schemas);
    const example = values.get(name);
    return {
      name,
      in: "query",
      ...(description === undefined ? {} : { description }),
      ...(required ? { required } : {}),
      ...(deprecated === undefined ? {} : { deprecated }),
      schema,
      ...(example === undefined ? {} : { example }),
    };
  }
}

/** Whether the fields of a message field are parameters of their own. */
function isPassable(
  field: DescField,
): field is DescField & { readonly fieldKind: "message"; readonly message: DescMessage } {
  return field.fieldKind === "message" && wellKnownSchema(field.message, {}) === undefined;
}

/** Whether a path variable sets this field, or another member of its oneof. */
function covers(variable: FieldPath, path: FieldPath): boolean {
  return variable.every((field, index) => {
    const step = path[index];
    return field === step || (field.oneof !== undefined && field.oneof === step?.oneof);
  });
}
