/** Percent-decoding of paths and queries (RFC 3986), strict about escapes and UTF-8. */

/** Decodes every escape. Undefined if an escape is malformed or the bytes are not UTF-8. */
export function decodePercent(text: string): string | undefined {
  if (!text.includes("%")) return text;
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/**
 * Decodes every escape but `%2F`, which stays as it was sent, so that a slash
 * that is data can be told from one that separates segments.
 */
export function decodePercentExceptSlash(text: string): string | undefined {
  if (!text.includes("%")) return text;
  const pieces = text.split(/(%2f)/i);
  for (let index = 0; index < pieces.length; index += 2) {
    const decoded = decodePercent(pieces[index] ?? "");
    if (decoded === undefined) return undefined;
    pieces[index] = decoded;
  }
  return pieces.join("");
}

/** Decodes a name or value of a query, where `+` is a space. */
export function decodeQueryComponent(text: string): string | undefined {
  return decodePercent(text.includes("+") ? text.replaceAll("+", " ") : text);
}
