/**
 * Finds text that PostgreSQL cannot store: U+0000 and lone surrogates. What has to
 * be looked at is found out once per message type, so that a call pays for its
 * strings only.
 */
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { ScalarType } from "@bufbuild/protobuf";
import { subscript } from "./path.ts";

/** Where bad text is, and what is wrong with it. */
export interface BadText {
  /** JSON path from the message on. */
  field: string;
  description: string;
}

/** Looks through a message; gives the first bad text. */
export type TextCheck = (message: Message) => BadText | undefined;

/** Looks at one value of a field (a string, a message, a list's item). */
type ValueCheck = (value: unknown) => BadText | undefined;
type Fields = Record<string, unknown>;

const checks = new WeakMap<DescMessage, { check: TextCheck | undefined }>();

/** The check of a message type; undefined if it holds no text. */
export function textCheck(message: DescMessage): TextCheck | undefined {
  let entry = checks.get(message);
  if (!entry) {
    // Before its fields are looked at: a type may hold itself.
    const pending: { check: TextCheck | undefined } = {
      check: (value) => pending.check?.(value),
    };
    entry = pending;
    checks.set(message, entry);
    entry.check = messageCheck(message);
  }
  return entry.check;
}

function messageCheck(message: DescMessage): TextCheck | undefined {
  const fieldChecks: ((fields: Fields) => BadText | undefined)[] = [];
  for (const member of message.members) {
    if (member.kind === "field") {
      const check = fieldCheck(member);
      if (check) fieldChecks.push((fields) => within(member, check(fields[member.localName])));
      continue;
    }
    const cases = new Map<string, [DescField, ValueCheck]>();
    for (const field of member.fields) {
      const check = fieldCheck(field);
      if (check) cases.set(field.localName, [field, check]);
    }
    if (cases.size > 0) {
      fieldChecks.push((fields) => {
        const set = fields[member.localName] as { case?: string; value?: unknown };
        const found = set.case === undefined ? undefined : cases.get(set.case);
        return found && within(found[0], found[1](set.value));
      });
    }
  }
  if (fieldChecks.length === 0) return undefined;
  return (value) => {
    for (const check of fieldChecks) {
      const bad = check(value as unknown as Fields);
      if (bad) return bad;
    }
    return undefined;
  };
}

function within(field: DescField, bad: BadText | undefined): BadText | undefined {
  if (!bad) return undefined;
  const separator = bad.field === "" || bad.field.startsWith("[") ? "" : ".";
  return { ...bad, field: `${field.jsonName}${separator}${bad.field}` };
}

function fieldCheck(field: DescField): ValueCheck | undefined {
  switch (field.fieldKind) {
    case "scalar":
      return field.scalar === ScalarType.STRING ? stringCheck : undefined;
    case "enum":
      return undefined;
    case "message":
      return messageFieldCheck(field.message);
    case "list": {
      if (field.listKind === "enum") return undefined;
      if (field.listKind === "scalar") {
        return field.scalar === ScalarType.STRING ? listCheck(stringCheck) : undefined;
      }
      const check = messageFieldCheck(field.message);
      return check && listCheck(check);
    }
    case "map": {
      const keys = field.mapKey === ScalarType.STRING;
      let values: ValueCheck | undefined;
      if (field.mapKind === "message") values = messageFieldCheck(field.message);
      if (field.mapKind === "scalar" && field.scalar === ScalarType.STRING) values = stringCheck;
      return keys || values ? mapCheck(keys, values) : undefined;
    }
  }
}

function messageFieldCheck(message: DescMessage): ValueCheck | undefined {
  // A field of this type is a plain JSON object in our messages.
  if (message.typeName === "google.protobuf.Struct") return jsonCheck;
  const check = textCheck(message);
  return check && ((value) => (value === undefined ? undefined : check(value as Message)));
}

const nullCharacter = "\u0000";

/** Whether PostgreSQL can store a text. */
export function isStorableText(text: string): boolean {
  return !text.includes(nullCharacter) && text.isWellFormed();
}

/** Whether PostgreSQL can store all keys and texts of a JSON value. */
export function isStorableJson(value: unknown): boolean {
  return jsonCheck(value) === undefined;
}

function stringCheck(value: unknown): BadText | undefined {
  if (typeof value !== "string" || value === "") return undefined;
  if (value.includes(nullCharacter)) {
    return { field: "", description: "must not contain the character U+0000; leave it out" };
  }
  if (!value.isWellFormed()) {
    return { field: "", description: "must be valid Unicode; it has half of a surrogate pair" };
  }
  return undefined;
}

function listCheck(check: ValueCheck): ValueCheck {
  return (value) => {
    const list = value as unknown[];
    for (let index = 0; index < list.length; index += 1) {
      const bad = check(list[index]);
      if (bad) return behind(`[${index}]`, bad);
    }
    return undefined;
  };
}

function mapCheck(keys: boolean, check: ValueCheck | undefined): ValueCheck {
  return (value) => {
    const map = value as Fields;
    for (const key in map) {
      const bad = (keys ? stringCheck(key) : undefined) ?? check?.(map[key]);
      if (bad) return behind(subscript(key), bad);
    }
    return undefined;
  };
}

function jsonCheck(value: unknown): BadText | undefined {
  if (typeof value === "string") return stringCheck(value);
  if (typeof value !== "object" || value === null) return undefined;
  return Array.isArray(value) ? jsonListCheck(value) : jsonObjectCheck(value);
}
const jsonListCheck = listCheck(jsonCheck);
const jsonObjectCheck = mapCheck(true, jsonCheck);

function behind(text: string, bad: BadText): BadText {
  const separator = bad.field === "" || bad.field.startsWith("[") ? "" : ".";
  return { ...bad, field: `${text}${separator}${bad.field}` };
}
