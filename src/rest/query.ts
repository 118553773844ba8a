/** Sets fields of a request message from the parameters of a query string. */
import type { DescOneof, Message } from "@bufbuild/protobuf";
import { invalidArgument, quote } from "./errors.ts";
import {
  getField,
  jsonPath,
  parentOf,
  resolveFieldPath,
  setField,
  type FieldPath,
} from "./field-path.ts";
import { parameterReader, type ParameterReader } from "./parameter.ts";
import { decodeQueryComponent } from "./percent.ts";
import type { RestRule } from "./rule.ts";

/** A parameter that a rule takes. */
interface Parameter {
  readonly fields: FieldPath;
  readonly read: ParameterReader;
  readonly repeated: boolean;
  /** The oneofs that it sets a member of, with the index of that member in `fields`. */
  readonly oneofs: readonly { index: number; oneof: DescOneof }[];
}

/** Sets the fields that `query` (raw, without `?`) names. Throws INVALID_ARGUMENT. */
export type QueryReader = (query: string, message: Message) => void;

/** How many spellings of parameters are remembered; recursive messages have endlessly many. */
const rememberedNames = 1000;

/**
 * Compiles the reader of a rule's query parameters. `ignored` names parameters
 * that are passed over; one that ends in `*` means every name that so begins.
 */
export function compileQueryReader(rule: RestRule, ignored: readonly string[]): QueryReader {
  const parameters = new Map<string, Parameter>();
  const isIgnored = compileIgnored(ignored);

  const find = (name: string): Parameter => {
    let parameter = parameters.get(name);
    if (parameter === undefined) {
      parameter = resolveParameter(rule, name);
      if (parameters.size < rememberedNames) parameters.set(name, parameter);
    }
    return parameter;
  };

  return (query, message) => {
    const seen = new Set<unknown>();
    for (const pair of query.split("&")) {
      if (pair === "") continue;
      const equals = pair.indexOf("=");
      const rawName = equals === -1 ? pair : pair.slice(0, equals);
      const name = decodeQueryComponent(rawName);
      if (name === undefined) throw invalidArgument(quote(rawName), malformed);
      if (isIgnored(name)) continue;
      const parameter = find(name);
      const text = equals === -1 ? "" : decodeQueryComponent(pair.slice(equals + 1));
      if (text === undefined) throw invalidArgument(name, malformed);
      setParameter(message, name, parameter, text, seen);
    }
  };
}

const malformed = "malformed percent-encoding, or not UTF-8";

function setParameter(
  message: Message,
  name: string,
  { fields, read, repeated, oneofs }: Parameter,
  text: string,
  seen: Set<unknown>,
): void {
  const field = fields.at(-1);
  if (field === undefined) return;
  for (const { index, oneof } of oneofs) {
    const holder = parentOf(message, fields.slice(0, index + 1));
    const { case: set } = holder[oneof.localName] as { case?: string };
    if (set !== undefined && set !== fields[index]?.localName) {
      throw invalidArgument(name, `another member of the oneof "${oneof.name}" is already set`);
    }
  }
  let value: unknown;
  try {
    value = read(text);
  } catch (error) {
    throw invalidArgument(name, `${(error as Error).message}, got ${quote(text)}`);
  }
  const parent = parentOf(message, fields);
  if (repeated) {
    (getField(parent, field) as unknown[]).push(value);
    return;
  }
  const key = jsonPath(fields);
  if (seen.has(key)) throw invalidArgument(name, "is given twice, but takes one value");
  seen.add(key);
  setField(parent, field, value);
}

/** Throws INVALID_ARGUMENT if `name` is no parameter of the rule. */
function resolveParameter(rule: RestRule, name: string): Parameter {
  const input = rule.method.input;
  let fields: FieldPath;
  try {
    fields = resolveFieldPath(input, name.split("."), true);
  } catch {
    throw invalidArgument(name === "" ? '""' : name, `unknown query parameter`);
  }
  if (rule.body === "*" || (rule.body !== undefined && rule.body === fields[0])) {
    throw invalidArgument(name, "belongs in the body of this request");
  }
  for (const variable of rule.variables) {
    if (overlaps(variable.fields, fields)) {
      throw invalidArgument(name, "is set by the path of this request");
    }
  }
  const field = fields.at(-1);
  const read = field === undefined ? undefined : parameterReader(field);
  if (read === undefined) {
    throw invalidArgument(name, "is no query parameter: maps and messages are not");
  }
  const oneofs = fields.flatMap((step, index) =>
    step.oneof === undefined ? [] : [{ index, oneof: step.oneof }],
  );
  return { fields, read, repeated: field?.fieldKind === "list", oneofs };
}

/** Whether two paths mean the same field, or different members of one oneof. */
function overlaps(one: FieldPath, other: FieldPath): boolean {
  for (const [index, field] of one.entries()) {
    const step = other[index];
    if (step === field) continue;
    return step?.oneof !== undefined && step.oneof === field.oneof;
  }
  return true;
}

function compileIgnored(ignored: readonly string[]): (name: string) => boolean {
  if (ignored.length === 0) return () => false;
  const names = new Set(ignored.filter((name) => !name.endsWith("*")));
  const prefixes = ignored.filter((name) => name.endsWith("*")).map((name) => name.slice(0, -1));
  return (name) => names.has(name) || prefixes.some((prefix) => name.startsWith(prefix));
}
