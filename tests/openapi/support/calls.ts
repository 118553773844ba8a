/** Calls operations of a document as its examples show them. */
import type { Document, Json, JsonObject, Operation } from "../../../src/openapi/index.ts";

/** An operation with its place. */
export interface PlacedOperation {
  readonly method: string;
  readonly path: string;
  readonly operation: Operation;
}

/** All operations, in the order of the document. */
export function operationsOf(document: Document): PlacedOperation[] {
  return Object.entries(document.paths).flatMap(([path, item]) =>
    Object.entries(item).map(([method, operation]) => ({
      method: method.toUpperCase(),
      path,
      operation: operation as Operation,
    })),
  );
}

/** Values that answers have named, which stand for the placeholders of later examples. */
export type Known = Map<string, string>;

/** Remembers ids and tokens of an answer, the first of each name. */
export function remember(known: Known, value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  for (const [name, child] of Object.entries(value)) {
    const kept = name.endsWith("Id") || name === "refreshToken";
    if (kept && typeof child === "string" && !known.has(name)) known.set(name, child);
    remember(known, child);
  }
}

/** The request that an operation's examples show. */
export function requestOf({ method, path, operation }: PlacedOperation, known: Known) {
  const query = new URLSearchParams();
  let target = path;
  for (const { name, in: where, example } of operation.parameters ?? []) {
    if (example === undefined) continue;
    if (where === "path") {
      const value = known.get(camelCase(name)) ?? String(example);
      target = target.replace(`{${name}}`, encodeURIComponent(value));
    }
    if (where === "query") for (const one of [example].flat()) query.append(name, String(one));
  }
  const media = operation.requestBody?.content["application/json"];
  const body = media?.example === undefined ? undefined : fill(media.example as JsonObject, known);
  return {
    target: query.size === 0 ? target : `${target}?${query}`,
    init: {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      headers: body === undefined ? {} : { "content-type": "application/json" },
    },
  };
}

function fill(example: JsonObject, known: Known): Record<string, Json> {
  return Object.fromEntries(
    Object.entries(example).map(([name, value]) => [name, known.get(name) ?? value]),
  );
}

function camelCase(name: string): string {
  const last = name.slice(name.lastIndexOf(".") + 1);
  return last.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

/**
 * The order in which examples can work: what makes things goes before what
 * needs them, deleting comes last. Public operations need what others made.
 */
export function inOrder(operations: readonly PlacedOperation[]): PlacedOperation[] {
  const rank = ({ method, path, operation }: PlacedOperation): number => {
    if (method === "DELETE") return 3;
    if (operation.security?.length === 0) return 2;
    return method === "POST" && !path.includes("{") ? 0 : 1;
  };
  return operations.toSorted((one, other) => rank(one) - rank(other));
}
