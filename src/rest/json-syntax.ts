/** Parses the bytes of a JSON text and says where a malformed one breaks. */
import { isUtf8 } from "node:buffer";
import type { JsonValue } from "@bufbuild/protobuf";
import { invalidArgument } from "./errors.ts";
import { findDuplicate } from "./json-duplicates.ts";

/** A JSON text as a value. */
export interface ParsedJson {
  /** Integers that a double cannot hold are bigints in it, greater numbers are infinite. */
  readonly json: JsonValue;
  /** Whether there may be such numbers. */
  readonly mayHaveGreatNumbers: boolean;
}

/** Parses UTF-8 bytes as JSON, whose path is `root`. Throws INVALID_ARGUMENT that names the place, also for a member that is given twice. */
export function parseJson(bytes: Buffer, root = ""): ParsedJson {
  if (!isUtf8(bytes)) {
    throw invalidArgument("", `the body is not UTF-8 at byte ${firstInvalidByte(bytes)}`);
  }
  const text = bytes.toString("utf8");
  const mayHaveGreatNumbers = greatNumber.test(text);
  let json: JsonValue;
  try {
    json = mayHaveGreatNumbers ? JSON.parse(text, keepInteger as never) : JSON.parse(text);
  } catch (error) {
    // The parser has run out of stack.
    if (error instanceof RangeError) throw invalidArgument("", "the body is nested too deeply");
    throw invalidArgument("", `the body is not JSON: ${describeSyntaxError(text)}`);
  }
  const duplicate = findDuplicate(text, json, root);
  if (duplicate !== undefined) throw invalidArgument(duplicate, "is given twice");
  return { json, mayHaveGreatNumbers };
}

const greatNumber = /[0-9]{16}|[0-9][eE]\+?[0-9]{2}/;

/** Keeps what a double would round. */
function keepInteger(_key: string, value: unknown, { source }: { source: string }): unknown {
  if (typeof value !== "number" || Number.isSafeInteger(value)) return value;
  return /^-?[0-9]+$/.test(source) ? BigInt(source) : value;
}

/** Offset of the first byte that does not belong to a UTF-8 sequence. */
export function firstInvalidByte(bytes: Uint8Array): number {
  let offset = 0;
  while (offset < bytes.length) {
    const length = sequenceLength(bytes[offset] ?? 0);
    if (length === 0 || !isUtf8(bytes.subarray(offset, offset + length))) return offset;
    offset += length;
  }
  return offset;
}

function sequenceLength(first: number): number {
  if (first < 0x80) return 1;
  if (first < 0xc2) return 0;
  if (first < 0xe0) return 2;
  if (first < 0xf0) return 3;
  return first < 0xf5 ? 4 : 0;
}

function describeSyntaxError(text: string): string {
  const offset = firstSyntaxError(text);
  const before = text.slice(0, offset);
  const line = before.split("\n").length;
  const column = offset - before.lastIndexOf("\n");
  const character = text.codePointAt(offset);
  const what =
    character === undefined
      ? "it ends too early"
      : `unexpected ${JSON.stringify(String.fromCodePoint(character))}`;
  return `${what} at line ${line}, column ${column}`;
}

const whitespace = /[ \t\n\r]*/y;
const scalar = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\d.eE])/y;
const opened = String.raw`"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9A-Fa-f]{4}))*`;
const string = new RegExp(`${opened}"`, "y");

/**
 * Offset of the first character that makes `text` no JSON; its length if it
 * only ends too early. JSON.parse does not always tell.
 */
export function firstSyntaxError(text: string): number {
  /** Closing brackets that are due. */
  const open: string[] = [];
  let offset = 0;
  const skip = (pattern: RegExp): boolean => {
    pattern.lastIndex = offset;
    if (!pattern.test(text)) return false;
    offset = pattern.lastIndex;
    return true;
  };
  const accept = (character: string): boolean => {
    if (text[offset] !== character) return false;
    offset++;
    return true;
  };
  const key = (): boolean => {
    skip(whitespace);
    if (!skip(string)) return false;
    skip(whitespace);
    return accept(":");
  };

  for (;;) {
    skip(whitespace);
    if (accept("{")) {
      skip(whitespace);
      open.push("}");
      if (!accept("}")) {
        if (!key()) return brokenString(text, offset);
        continue;
      }
      open.pop();
    } else if (accept("[")) {
      skip(whitespace);
      open.push("]");
      if (!accept("]")) continue;
      open.pop();
    } else if (!skip(string) && !skip(scalar)) {
      return text[offset] === '"' ? brokenString(text, offset) : brokenLiteral(text, offset);
    }

    for (;;) {
      skip(whitespace);
      const closing = open.at(-1);
      if (closing === undefined) return offset;
      if (!accept(closing)) break;
      open.pop();
    }
    if (!accept(",")) return offset;
    if (open.at(-1) === "}" && !key()) return brokenString(text, offset);
  }
}

/** Where a string breaks, if one starts here that has no end. */
function brokenString(text: string, start: number): number {
  const whole = new RegExp(`${opened}"`, "y");
  whole.lastIndex = start;
  const part = new RegExp(opened, "y");
  part.lastIndex = start;
  return !whole.test(text) && part.test(text) ? part.lastIndex : start;
}

/** Where `true`, `false` or `null` is misspelt. */
function brokenLiteral(text: string, start: number): number {
  for (const literal of ["true", "false", "null"]) {
    if (text[start] !== literal[0]) continue;
    let offset = start;
    while (offset < text.length && text[offset] === literal[offset - start]) offset++;
    return offset;
  }
  return start;
}
