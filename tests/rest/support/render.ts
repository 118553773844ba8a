/** Renders the JSON of a message as the request that a careful client would send for a rule. */
import {
  create,
  toJson,
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
} from "@bufbuild/protobuf";
import type { RestRule, Segment } from "../../../src/rest/index.ts";
import type { WireRequest } from "./server.ts";

/** The request for `json`; `fillers` are the segments that no variable binds. */
export function renderRequest(
  rule: RestRule,
  json: JsonObject,
  fillers: readonly string[],
): WireRequest {
  const rest = structuredClone(json);
  const path = renderPath(rule, rest, fillers);
  const method = rule.httpMethod === "*" ? "LOCK" : rule.httpMethod;
  const { body } = rule;
  if (body === "*") return { method, path, ...jsonBody(rest) };
  const sent = body === undefined ? undefined : rest[body.jsonName];
  if (body !== undefined) delete rest[body.jsonName];
  const query = parametersOf(rule.method.input, rest, "").map(
    ([name, text]) => `${escape(name)}=${escape(text).replaceAll("%20", "+")}`,
  );
  return {
    method,
    path: query.length === 0 ? path : `${path}?${query.join("&")}`,
    ...(sent === undefined ? {} : jsonBody(sent)),
  };
}

/** A text that a variable's pattern takes; undefined if it takes any. `**` gets `depth` words. */
export function patternText(
  pattern: readonly Segment[],
  nextWord: () => string,
  depth: number,
): string | undefined {
  if (pattern.length === 1 && pattern[0]?.kind === "*") return undefined;
  const parts = pattern.flatMap((segment): string[] => {
    if (segment.kind === "literal") return [segment.text];
    return Array.from({ length: segment.kind === "*" ? 1 : depth }, nextWord);
  });
  return parts.join("/");
}

function jsonBody(json: JsonValue) {
  return { headers: { "content-type": "application/json" }, body: JSON.stringify(json) };
}

/** Everything but unreserved characters is escaped, as google/api/http.proto says. */
function escape(text: string): string {
  return encodeURIComponent(text).replace(
    /[!'()*]/g,
    (character) => `%${character.charCodeAt(0).toString(16)}`,
  );
}

/** Renders the path and takes its fields out of `json`. */
function renderPath(
  { template, variables }: RestRule,
  json: JsonObject,
  fillers: readonly string[],
): string {
  let filler = 0;
  let path = "";
  let index = 0;
  while (index < template.segments.length) {
    const variable = variables.find(({ start }) => start === index);
    const segment = template.segments[index];
    if (variable === undefined) {
      path += `/${escape(segment?.kind === "literal" ? segment.text : (fillers[filler++] ?? ""))}`;
      index++;
      continue;
    }
    const text = takeField(json, variable.fields);
    const isOne = variable.end - variable.start === 1 && segment?.kind !== "**";
    // What a variable of several segments holds is split at its slashes.
    path += `/${isOne ? escape(text) : text.split("/").map(escape).join("/")}`;
    index = variable.end;
  }
  return template.verb === "" ? path : `${path}:${escape(template.verb)}`;
}

/** Takes a scalar field out of `json` and gives its text, also if it is the default. */
function takeField(json: JsonObject, fields: readonly DescField[]): string {
  let holder = json;
  for (const field of fields.slice(0, -1)) {
    holder = (holder[field.jsonName] ??= {}) as JsonObject;
  }
  const field = fields.at(-1);
  if (field === undefined) throw new Error("no field");
  const value = holder[field.jsonName];
  delete holder[field.jsonName];
  return textOf(value ?? defaultOf(field));
}

/** How proto3 JSON writes the default of a field without presence. */
function defaultOf({ parent, jsonName }: DescField): JsonValue | undefined {
  const json = toJson(parent, create(parent), { alwaysEmitImplicit: true });
  return (json as JsonObject)[jsonName];
}

function textOf(value: JsonValue | undefined): string {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function parametersOf(desc: DescMessage, json: JsonObject, prefix: string): [string, string][] {
  return Object.entries(json).flatMap(([key, value]): [string, string][] => {
    const name = `${prefix}${key}`;
    if (Array.isArray(value)) return value.map((item) => [name, textOf(item)]);
    if (typeof value !== "object" || value === null) return [[name, textOf(value)]];
    const field = desc.fields.find(({ jsonName }) => jsonName === key);
    if (field?.message === undefined) throw new Error(`${name} is no message`);
    return parametersOf(field.message, value, `${name}.`);
  });
}
