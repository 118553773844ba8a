/** Request targets as they were sent. */
import { decodePercent } from "./percent.ts";

/** Path and query of a target, both raw; the query without `?`. */
export interface SplitUrl {
  readonly path: string;
  readonly query: string;
}

/** Splits a target in origin or absolute form (RFC 9112, section 3.2); `skip` characters of the path are left out. */
export function splitUrl(url: string, skip = 0): SplitUrl {
  let target = url;
  if (target.charCodeAt(0) !== 47) target = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, "");
  const hash = target.indexOf("#");
  if (hash !== -1) target = target.slice(0, hash);
  const mark = target.indexOf("?");
  if (mark === -1) return { path: target.slice(skip), query: "" };
  return { path: target.slice(skip, mark), query: target.slice(mark + 1) };
}

/** The first segment of a path whose escapes are malformed or not UTF-8. */
export function malformedSegment(path: string): string | undefined {
  if (!path.includes("%")) return undefined;
  return path.split("/").find((segment) => decodePercent(segment) === undefined);
}
