import type { PageCursor } from "../page-token.ts";

/** Where a page ended that is ordered by id. */
export function isIdCursor(cursor: PageCursor): cursor is [id: string] {
  const [id, ...rest] = cursor;
  return (
    rest.length === 0 &&
    typeof id === "string" &&
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id)
  );
}
