/** Entity tags and the conditions on them (RFC 9110, sections 8.8.3 and 13.1). */
import { hash } from "node:crypto";

/** The strong tag of a representation, before any content coding. */
export function entityTag(content: string | Uint8Array): string {
  return `"${hash("sha256", content, "base64url").slice(0, 27)}"`;
}

/** Strong tags differ by content coding, so a coded representation has a tag of its own. */
export function codedTag(tag: string, coding: string): string {
  return tag.endsWith('"') ? `${tag.slice(0, -1)}-${coding}"` : tag;
}

/** The tags of an `If-Match` or `If-None-Match`; `*` stands for any. Undefined if it is malformed. */
export function parseTags(header: string): "*" | EntityTag[] | undefined {
  if (header.trim() === "*") return "*";
  const tags: EntityTag[] = [];
  const pattern = /\s*(W\/)?"([\x21\x23-\x7e\x80-\xff]*)"\s*(?:,|$)/y;
  while (pattern.lastIndex < header.length) {
    const found = pattern.exec(header);
    if (found === null) return undefined;
    tags.push({ weak: found[1] !== undefined, value: withoutCoding(found[2] ?? "") });
  }
  return tags;
}

/** A tag without its quotes and without the coding that `codedTag` adds. */
export interface EntityTag {
  readonly weak: boolean;
  readonly value: string;
}

/** Whether `If-None-Match` names this tag, whatever the coding. */
export function isFresh(ifNoneMatch: string | undefined, tag: string): boolean {
  if (ifNoneMatch === undefined) return false;
  const tags = parseTags(ifNoneMatch);
  if (tags === "*") return true;
  const value = withoutCoding(tag.replace(/^W\//, "").slice(1, -1));
  return tags?.some((candidate) => candidate.value === value) ?? false;
}

function withoutCoding(value: string): string {
  return value.replace(/-(?:br|gzip)$/, "");
}
