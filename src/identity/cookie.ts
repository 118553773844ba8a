import { timingSafeEqual } from "node:crypto";
import type { DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { DomainError } from "../errors.ts";

/** `__Host-`: browsers take it only over TLS, for this host alone, from this host alone. */
const cookieName = "__Host-tribe";

/** The value of our cookie; undefined: there is none, or it cannot be one of ours. */
export function sessionCookieOf(header: Headers): string | undefined {
  const cookies = header.get("cookie");
  if (cookies === null || !cookies.includes(cookieName)) return undefined;
  // gRPC joins metadata of one name with commas.
  for (const cookie of cookies.split(/[;,]/)) {
    const [name, value] = cookie.trim().split("=", 2);
    if (name === cookieName && value !== undefined && /^[\w-]{43}$/.test(value)) return value;
  }
  return undefined;
}

/** The cookie that says who calls: there is nothing else in the call that does. */
export function decidingCookieOf(header: Headers): string | undefined {
  return header.has("authorization") || header.has("x-api-key")
    ? undefined
    : sessionCookieOf(header);
}

/** The header that gives a browser the cookie, for so many seconds; 0 takes it away. */
export function sessionCookie(value: string, seconds: number): string {
  return `${cookieName}=${value}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age=${seconds}`;
}

/** Which pages may make calls with the cookie. */
export interface OriginRules {
  /** Beside our own. */
  readonly allowedOrigins: readonly string[];
}

/** Refuses a call that a page of somebody else's makes. */
export function requireOwnOrigin(header: Headers, { allowedOrigins }: OriginRules): void {
  const origin = header.get("origin");
  const site = header.get("sec-fetch-site");
  if (origin === null && (site === null || site === "same-origin" || site === "none")) return;
  if (origin !== null && allowedOrigins.includes(origin)) return;
  const host = header.get("host");
  if (origin !== null && host !== null && URL.parse(origin)?.host === host) return;
  throw forgery("the call comes from a page of another origin; add it to ALLOWED_ORIGINS");
}

/**
 * Refuses a call that changes something and that does not show the session's token, which no
 * page of somebody else's can read.
 */
export function requireCsrfToken(header: Headers, method: DescMethod, expected: string): void {
  if (method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS) return;
  const given = header.get("x-csrf-token");
  if (given === null) throw forgery("a call with the cookie needs the header x-csrf-token");
  const [left, right] = [Buffer.from(given), Buffer.from(expected)];
  if (left.length === right.length && timingSafeEqual(left, right)) return;
  throw forgery("x-csrf-token is not this session's; GetMe gives it");
}

function forgery(message: string): DomainError {
  return new DomainError("PERMISSION_DENIED", "CROSS_SITE_REQUEST", message);
}
