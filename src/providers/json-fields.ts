/** Reads what is in parsed JSON, and notes every fault instead of throwing. */

export type Json = Readonly<Record<string, unknown>>;
/** Notes a fault at a path. */
export type Fault = (path: string, description: string) => void;

/** An object of these keys and no others. */
export function readObject(
  value: unknown,
  path: string,
  keys: readonly string[],
  fault: Fault,
): Json {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    fault(path, "must be an object");
    return {};
  }
  for (const key of Object.keys(value)) {
    if (keys.includes(key)) continue;
    fault(path ? `${path}.${key}` : key, `is not known; known are ${keys.join(", ")}`);
  }
  return value as Json;
}

export function readArray(value: unknown, path: string, fault: Fault): readonly unknown[] {
  if (Array.isArray(value)) return value;
  fault(path, "must be an array");
  return [];
}

/** A text that is not empty. */
export function readText(value: unknown, path: string, fault: Fault): string {
  if (typeof value === "string" && value !== "") return value;
  fault(path, "must be a text that is not empty");
  return "";
}

export function isWhole(value: unknown): value is number {
  return Number.isSafeInteger(value);
}
