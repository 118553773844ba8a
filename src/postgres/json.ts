/** In JSON text: a possible NUL or lone surrogate, neither of which jsonb can hold. */
const suspicious = /\\u(?:0000|d[89a-f])/;

/**
 * JSON text for a jsonb column. PostgreSQL refuses U+0000 and lone surrogates; models
 * write them now and then, so each becomes U+FFFD, the replacement character.
 */
export function toJsonb(value: unknown): string {
  const json = JSON.stringify(value);
  return suspicious.test(json) ? JSON.stringify(storable(value)) : json;
}

/** Text for a text column, with U+FFFD for what PostgreSQL refuses. */
export function toText(value: string): string {
  return value.includes("\0") ? value.replaceAll("\0", "\uFFFD") : value;
}

function storable(value: unknown): unknown {
  if (typeof value === "string") return toText(value.toWellFormed());
  if (Array.isArray(value)) return value.map(storable);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [storable(key), storable(item)]),
  );
}
