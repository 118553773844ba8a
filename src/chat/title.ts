import type { ContentPart } from "../providers/content.ts";

const longestTitle = 80;

/** What to call a conversation before anybody names it: the beginning of its first text. */
export function titleOf(content: readonly ContentPart[]): string {
  const first = content.find((part) => part.type === "text");
  if (first?.type !== "text") return "";
  // Only the beginning is looked at: a text may be a megabyte long.
  const text = first.text.slice(0, 400).replace(/\s+/g, " ").trim();
  if (text.length <= longestTitle) return text;
  const cut = text.slice(0, longestTitle - 1);
  const word = cut.lastIndexOf(" ");
  const title = word > longestTitle / 2 ? cut.slice(0, word) : cut;
  // Never half a surrogate pair, which PostgreSQL could not store.
  return `${title.isWellFormed() ? title : title.slice(0, -1)}…`;
}
