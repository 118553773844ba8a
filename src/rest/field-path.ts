/** Dotted paths to fields of a message, as rules and query parameters write them. */
import { create, type DescField, type DescMessage, type Message } from "@bufbuild/protobuf";

/** The fields from the request message down to the one that is meant. */
export type FieldPath = readonly DescField[];

/** A message as an object of its local properties. */
export type MessageFields = Record<string, unknown>;

/** Message types whose JSON is not an object of their fields: nothing reaches into them. */
const opaqueTypes: ReadonlySet<string> = new Set(
  [
    "Any Duration FieldMask ListValue Struct Timestamp Value",
    "BoolValue BytesValue DoubleValue FloatValue",
    "Int32Value Int64Value StringValue UInt32Value UInt64Value",
  ]
    .join(" ")
    .split(" ")
    .map((name) => `google.protobuf.${name}`),
);

/**
 * Finds the fields that `names` lead to. JSON names are understood if
 * `jsonNames` is set, and preferred to proto names. Throws an Error that says
 * which name does not fit.
 */
export function resolveFieldPath(
  message: DescMessage,
  names: readonly string[],
  jsonNames = false,
): FieldPath {
  const path: DescField[] = [];
  let current = message;
  for (const [index, name] of names.entries()) {
    const field =
      (jsonNames ? current.fields.find((candidate) => candidate.jsonName === name) : undefined) ??
      current.fields.find((candidate) => candidate.name === name);
    if (field === undefined) throw new Error(`${current.typeName} has no field "${name}"`);
    path.push(field);
    if (index === names.length - 1) break;
    if (field.fieldKind !== "message" || isOpaque(field.message)) {
      throw new Error(`"${name}" of ${current.typeName} has no fields of its own`);
    }
    current = field.message;
  }
  return path;
}

/** Whether the JSON of a message type is something else than an object of its fields. */
export function isOpaque(message: DescMessage): boolean {
  return opaqueTypes.has(message.typeName);
}

/** The path in JSON names. */
export function jsonPath(path: FieldPath): string {
  return path.map((field) => field.jsonName).join(".");
}

/** Gives the message that holds the last field of a path, made where it is missing. */
export function parentOf(root: Message, path: FieldPath): MessageFields {
  let parent = root as unknown as MessageFields;
  for (let index = 0; index < path.length - 1; index++) {
    const field = path[index];
    if (field?.fieldKind !== "message") throw new TypeError("not a message field");
    let child = getField(parent, field);
    if (child === undefined) {
      child = create(field.message);
      setField(parent, field, child);
    }
    parent = child as MessageFields;
  }
  return parent;
}

/** The value of a field; undefined if it has presence and is not set. */
export function getField(message: MessageFields, field: DescField): unknown {
  if (field.oneof === undefined) return message[field.localName];
  const oneof = message[field.oneof.localName] as { case?: string; value?: unknown };
  return oneof.case === field.localName ? oneof.value : undefined;
}

/** Sets a field; another member of its oneof gives way. */
export function setField(message: MessageFields, field: DescField, value: unknown): void {
  if (field.oneof === undefined) message[field.localName] = value;
  else message[field.oneof.localName] = { case: field.localName, value };
}
