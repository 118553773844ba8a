/** Members of a JSON object that are given twice, of which JSON.parse silently drops one. */
import type { JsonValue } from "@bufbuild/protobuf";

/**
 * The path of the first member that an object of `text` has twice; undefined if
 * there is none. `json` is what JSON.parse made of the text, `root` its own path.
 *
 * Nearly always, counting is enough: a text with no more colons than members
 * were parsed has no other colons, and so no other members.
 */
export function findDuplicate(text: string, json: JsonValue, root = ""): string | undefined {
  if (typeof json !== "object" || json === null) return undefined;
  return countColons(text) === countMembers(json, 0) ? undefined : scan(text, root);
}

function countColons(text: string): number {
  let count = 0;
  for (let at = text.indexOf(":"); at !== -1; at = text.indexOf(":", at + 1)) count++;
  return count;
}

/** Deeper values are scanned, which takes no stack. */
const deepest = 200;

function countMembers(json: JsonValue, depth: number): number {
  if (typeof json !== "object" || json === null || depth > deepest) return 0;
  let count = 0;
  if (Array.isArray(json)) {
    for (const item of json) count += countMembers(item, depth + 1);
    return count;
  }
  for (const key of Object.keys(json)) count += 1 + countMembers(json[key] ?? null, depth + 1);
  return count;
}

/** An object or array whose end has not come yet. */
interface Open {
  /** The keys so far; undefined in an array. */
  readonly keys: Set<string> | undefined;
  readonly path: string;
  /** The member that is being read: a key, or an index. */
  current: string | number;
}

const [quote, comma, colon, backslash] = [34, 44, 58, 92];
const [openArray, closeArray, openObject, closeObject] = [91, 93, 123, 125];

/** Reads a text that is known to be JSON. */
function scan(text: string, root: string): string | undefined {
  const open: Open[] = [];
  let top: Open | undefined;
  let isKey = false;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case openObject:
      case openArray: {
        const isObject = text.charCodeAt(at) === openObject;
        const keys = isObject ? new Set<string>() : undefined;
        open.push((top = { keys, path: top === undefined ? root : pathOf(top), current: 0 }));
        isKey = isObject;
        break;
      }
      case closeObject:
      case closeArray:
        open.pop();
        top = open.at(-1);
        isKey = false;
        break;
      case comma:
        isKey = top?.keys !== undefined;
        if (top !== undefined && typeof top.current === "number") top.current++;
        break;
      case colon:
        isKey = false;
        break;
      case quote: {
        const end = endOfString(text, at);
        if (isKey && top?.keys !== undefined) {
          const key = JSON.parse(text.slice(at, end + 1)) as string;
          top.current = key;
          if (top.keys.has(key)) return pathOf(top);
          top.keys.add(key);
        }
        at = end;
        break;
      }
    }
  }
  return undefined;
}

function pathOf({ path, current }: Open): string {
  if (typeof current === "number") return `${path}[${current}]`;
  return path === "" ? current : `${path}.${current}`;
}

/** Offset of the quote that ends the string that starts at `start`. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end !== -1; end = text.indexOf('"', end + 1)) {
    let escapes = end;
    while (text.charCodeAt(escapes - 1) === backslash) escapes--;
    if ((end - escapes) % 2 === 0) return end;
  }
  return text.length;
}
