/** Headers of a response, read where undici parsed them instead of copied into a `Headers`. */
export interface HeaderView {
  get(name: string): string | null;
  has(name: string): boolean;
  entries(): IterableIterator<[string, string]>;
  [Symbol.iterator](): IterableIterator<[string, string]>;
}

type ParsedHeaders = Readonly<Record<string, string | string[] | undefined>>;

/** Wraps parsed headers, whose names are in lower case. */
export function createHeaderView(headers: ParsedHeaders): HeaderView {
  function get(name: string): string | null {
    const value = headers[name.toLowerCase()];
    if (value === undefined) return null;
    return typeof value === "string" ? value : value.join(", ");
  }
  function* entries(): IterableIterator<[string, string]> {
    for (const name of Object.keys(headers)) yield [name, get(name) ?? ""];
  }
  return { get, has: (name) => get(name) !== null, entries, [Symbol.iterator]: entries };
}
