import type { ContentPart } from "../providers/content.ts";

const longestTitle = 80;

/** What to call a conversation before anybody names it: the beginning of its first text. */
export function titleOf(content: readonly ContentPart[]): string {
  const first = content.find((part) => part.type === "text");
  if (first?.type !== "text") return "";
  // Only the beginning is looked at: a text may be a megabyte long.
  const text = wholeCharacters(first.text.slice(0, 400)).replace(/\s+/g, " ").trim();
  if (text.length <= longestTitle) return text;
  const cut = text.slice(0, longestTitle - 1);
  const word = cut.lastIndexOf(" ");
  const title = word > longestTitle / 2 ? cut.slice(0, word) : cut;
  return `${wholeCharacters(title)}…`;
}

/** Without the half of a surrogate pair at its end, which PostgreSQL could not store. */
function wholeCharacters(cut: string): string {
  return cut.isWellFormed() ? cut : cut.slice(0, -1);
}
