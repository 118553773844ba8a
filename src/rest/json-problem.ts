/** Finds out which part of a JSON value kept it from being read as a message. */
import {
  fromJson,
  ScalarType,
  type DescEnum,
  type DescEnumValue,
  type DescField,
  type DescMessage,
  type JsonValue,
  type Registry,
} from "@bufbuild/protobuf";
import { quote } from "./errors.ts";
import { isOpaque } from "./field-path.ts";

/** What is wrong, and where: `path` is in JSON names, for example `content[0].text`. */
export interface JsonProblem {
  readonly path: string;
  readonly description: string;
}

const deepest = 100;

/**
 * Finds the first problem of a value that `fromJson` refused. Undefined if every
 * part by itself can be read. Walks each value once, whatever its depth.
 */
export function findJsonProblem(
  desc: DescMessage,
  json: JsonValue,
  options: { registry?: Registry; ignoreUnknownFields?: boolean },
): JsonProblem | undefined {
  return inMessage(desc, json, "", 1);

  function inMessage(
    desc: DescMessage,
    json: JsonValue,
    path: string,
    depth: number,
  ): JsonProblem | undefined {
    if (isOpaque(desc)) return attempt(desc, json, path);
    if (!isObject(json)) {
      return { path, description: `expected an object${taking(desc)}, got ${nameOf(json)}` };
    }
    if (depth > deepest) return { path, description: `is nested more than ${deepest} levels deep` };
    const given = new Map<unknown, string>();
    for (const [key, value] of Object.entries(json)) {
      const here = path === "" ? key : `${path}.${key}`;
      const field =
        desc.fields.find((candidate) => candidate.jsonName === key) ??
        desc.fields.find((candidate) => candidate.name === key);
      if (field === undefined) {
        const problem = attempt(desc, { [key]: value }, here);
        if (problem !== undefined) return { path: here, description: unknownField(desc, key) };
        continue;
      }
      const other = given.get(field) ?? (value === null ? undefined : given.get(field.oneof));
      if (other !== undefined) {
        return { path: here, description: `cannot be given together with "${other}"` };
      }
      given.set(field, key);
      if (field.oneof !== undefined && value !== null) given.set(field.oneof, key);
      const problem = inField(field, key, value, here, depth);
      if (problem !== undefined) return problem;
    }
    return undefined;
  }

  function inField(
    field: DescField,
    key: string,
    json: JsonValue,
    path: string,
    depth: number,
  ): JsonProblem | undefined {
    if (json === null) return attempt(field.parent, { [key]: json }, path);
    switch (field.fieldKind) {
      case "message":
        return inMessage(field.message, json, path, depth + 1);
      case "list": {
        if (!Array.isArray(json)) {
          return {
            path,
            description: `expected an array${ofElements(field)}, got ${nameOf(json)}`,
          };
        }
        for (const [index, element] of json.entries()) {
          const here = `${path}[${index}]`;
          const problem =
            field.listKind === "message"
              ? inMessage(field.message, element, here, depth + 1)
              : inScalar(field, element, here, () => ({ [key]: [element] }));
          if (problem !== undefined) return problem;
        }
        return undefined;
      }
      case "map": {
        if (!isObject(json)) {
          return { path, description: `expected an object, got ${nameOf(json)}` };
        }
        for (const [entry, value] of Object.entries(json)) {
          const here = `${path}[${JSON.stringify(entry)}]`;
          const problem =
            field.mapKind === "message"
              ? inMessage(field.message, value, here, depth + 1)
              : attempt(field.parent, { [key]: { [entry]: value } }, here);
          if (problem !== undefined) return problem;
        }
        return attempt(field.parent, { [key]: {} }, path);
      }
      default:
        return inScalar(field, json, path, () => ({ [key]: json }));
    }
  }

  function inScalar(
    field: DescField,
    json: JsonValue,
    path: string,
    wrap: () => JsonValue,
  ): JsonProblem | undefined {
    if (isSurelyRight(field, json)) return undefined;
    if (field.enum !== undefined && typeof json === "string") {
      const isKnown = ({ name, jsonName }: DescEnumValue) => name === json || jsonName === json;
      if (options.ignoreUnknownFields || field.enum.values.some(isKnown)) return undefined;
      return { path, description: unknownEnumValue(field.enum, json) };
    }
    return attempt(field.parent, wrap(), path);
  }

  function attempt(desc: DescMessage, json: JsonValue, path: string): JsonProblem | undefined {
    try {
      fromJson(desc, json, options);
      return undefined;
    } catch (error) {
      return { path, description: describe(error) };
    }
  }
}

/** Spares most values the cost of being tried. */
function isSurelyRight(field: DescField, json: JsonValue): boolean {
  switch (field.scalar) {
    case ScalarType.STRING:
      return typeof json === "string" && json.isWellFormed();
    case ScalarType.BOOL:
      return typeof json === "boolean";
    case ScalarType.DOUBLE:
      return typeof json === "number";
    default:
      return false;
  }
}

/** The reason in an error of protobuf-es, without the proto names in front of it. */
function describe(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const reason = message.split("from JSON: ").at(-1) ?? message;
  return reason === "" ? "cannot be read" : reason;
}

function unknownField(desc: DescMessage, key: string): string {
  const names = fieldNames(desc);
  return `unknown field ${quote(key)}: ${desc.name} takes ${names === "" ? "no fields" : names}`;
}

/** What an object may have, for who sent something else. */
function taking(desc: DescMessage): string {
  const names = isOpaque(desc) ? "" : fieldNames(desc);
  return names === "" ? "" : ` with ${names}`;
}

function ofElements(field: DescField & { fieldKind: "list" }): string {
  return field.listKind === "message" && !isOpaque(field.message)
    ? ` of objects${taking(field.message)}`
    : "";
}

function fieldNames(desc: DescMessage): string {
  return desc.fields
    .map((field) => field.jsonName)
    .slice(0, 30)
    .join(", ");
}

function unknownEnumValue(desc: DescEnum, name: string): string {
  const names = desc.values.slice(0, 30).map((value) => value.jsonName);
  return `unknown value ${quote(name)}: expected one of ${names.join(", ")}`;
}

function isObject(json: JsonValue): json is { [key: string]: JsonValue } {
  return typeof json === "object" && json !== null && !Array.isArray(json);
}

function nameOf(json: JsonValue): string {
  if (json === null) return "null";
  if (Array.isArray(json)) return "an array";
  return typeof json === "object" ? "an object" : `the ${typeof json} ${quote(String(json))}`;
}
