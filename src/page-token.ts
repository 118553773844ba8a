import { createHash } from "node:crypto";
import { invalidField } from "./errors.ts";

/** Grows when a token's content changes its meaning. */
const version = 1;

/** Where a page ended: what the next one's query needs. */
export type PageCursor = readonly (string | number)[];

/**
 * Makes an opaque `next_page_token`. `scope` is everything of the request that must stay
 * the same from page to page: the method, the caller and the filters, but not the size.
 */
export function encodePageToken(scope: readonly unknown[], cursor: PageCursor): string {
  return Buffer.from(JSON.stringify([version, digest(scope), ...cursor])).toString("base64url");
}

/**
 * Reads a `page_token`; undefined for the empty one of a first page. `isCursor`
 * says whether it is one of this method's. Throws INVALID_ARGUMENT naming
 * `pageToken` for whatever encodePageToken did not make for the same scope.
 */
export function decodePageToken<Cursor extends PageCursor>(
  token: string,
  scope: readonly unknown[],
  isCursor: (cursor: PageCursor) => cursor is Cursor,
): Cursor | undefined {
  if (token === "") return undefined;
  const [tokenVersion, tokenScope, ...cursor] = parse(token);
  if (tokenVersion !== version || !isCursor(cursor as PageCursor)) {
    throw invalidField("pageToken", "is not one; send the nextPageToken of the page before");
  }
  if (tokenScope !== digest(scope)) {
    throw invalidField("pageToken", "belongs to another request; only pageSize may change");
  }
  return cursor as unknown as Cursor;
}

/** Whether it is the id of something, for the cursors that hold one. */
export function isUuid(value: unknown): value is string {
  return typeof value === "string" && /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(value);
}

function parse(token: string): unknown[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(token, "base64url").toString());
    return Array.isArray(value) ? value : [];
  } catch {
    return [];
  }
}

function digest(scope: readonly unknown[]): string {
  return createHash("sha256").update(JSON.stringify(scope)).digest("base64url").slice(0, 12);
}
