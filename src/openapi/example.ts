/** Requests to show, taken apart as a rule sends them. */
import { jsonPath, type FieldPath, type RestRule, type RuleVariable } from "../rest/index.ts";
import { exampleOf, smallestMessage } from "./example-message.ts";
import type { Json, JsonObject } from "./types.ts";

/** Where the parts of a request go. */
export interface RequestExample {
  readonly path: ReadonlyMap<RuleVariable, string>;
  /** By the names of the parameters. */
  readonly query: ReadonlyMap<string, Json>;
  readonly body: Json | undefined;
}

/**
 * Makes an example of a request. `given` are the fields that say something, in
 * JSON; what else is required is added.
 */
export function requestExample(rule: RestRule, given: JsonObject = {}): RequestExample {
  const { method, body, variables } = rule;
  let message = merge(smallestMessage(method.input), given);
  const path = new Map<RuleVariable, string>();
  for (const variable of variables) {
    const value = valueAt(message, variable.fields) ?? exampleOf(variable.fields.at(-1)!);
    path.set(variable, String(value));
    message = without(message, variable.fields);
  }
  if (body === "*") return { path, query: new Map(), body: message };
  const query = new Map<string, Json>();
  const { [body?.jsonName ?? ""]: bodyValue, ...others } = message;
  for (const field of method.input.fields) flatten(others[field.jsonName], [field], query);
  return { path, query, body: body === undefined ? undefined : bodyValue };
}

function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What is given goes before; objects are joined, everything else is replaced. */
function merge(base: JsonObject, given: JsonObject): JsonObject {
  const merged: Record<string, Json> = { ...base };
  for (const [name, value] of Object.entries(given)) {
    const below = merged[name];
    merged[name] = isObject(below) && isObject(value) ? merge(below, value) : value;
  }
  return merged;
}

function valueAt(message: JsonObject, path: FieldPath): Json | undefined {
  let value: Json | undefined = message;
  for (const field of path) value = isObject(value) ? value[field.jsonName] : undefined;
  return value;
}

function without(message: JsonObject, [field, ...rest]: FieldPath): JsonObject {
  const { [field?.jsonName ?? ""]: value, ...others } = message;
  if (field === undefined || value === undefined) return message;
  if (rest.length === 0 || !isObject(value)) return others;
  return { ...message, [field.jsonName]: without(value, rest) };
}

/** The fields of messages as parameters with dotted names. */
function flatten(value: Json | undefined, path: FieldPath, into: Map<string, Json>): void {
  if (value === undefined) return;
  const field = path.at(-1);
  if (field?.fieldKind !== "message" || !isObject(value)) {
    into.set(jsonPath(path), value);
    return;
  }
  for (const member of field.message.fields) {
    flatten(value[member.jsonName], [...path, member], into);
  }
}
