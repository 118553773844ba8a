import { DomainError, unauthenticated } from "../errors.ts";

/** Longer ones are refused unread: a foreign token with many claims has a few kilobytes. */
const maxLength = 8192;

/**
 * The API key or token of a call; undefined: there is none. It goes before a cookie, which a
 * browser adds by itself. Two that differ are refused: whoever sends them may mean either, and
 * whatever checked only one of them on the way may have checked the other.
 */
export function credentialOf(header: Headers): string | undefined {
  const authorization = header.get("authorization");
  const apiKey = header.get("x-api-key");
  const credential = authorization === null ? apiKey : bearerCredential(authorization);
  if (authorization !== null && apiKey !== null && credential !== apiKey) {
    throw unauthenticated(
      "`authorization` and `x-api-key` carry different credentials: send one of them",
    );
  }
  if (credential === null || credential === "") return undefined;
  if (credential.length > maxLength) {
    throw unauthenticated(`the credential is longer than ${maxLength} characters`);
  }
  return credential;
}

/** https://www.rfc-editor.org/rfc/rfc6750#section-2.1 */
function bearerCredential(authorization: string): string {
  if (authorization.startsWith("Bearer ")) return authorization.slice(7).trim();
  const end = authorization.indexOf(" ");
  if (end > 0 && authorization.slice(0, end).toLowerCase() === "bearer") {
    return authorization.slice(end + 1).trim();
  }
  throw unauthenticated("the authorization header is not `Bearer <API key or token>`");
}

/** What a call without any credential is told. */
export function noCredential(): DomainError {
  return unauthenticated(
    "no credential: send `authorization: Bearer <API key or token>` or `x-api-key`",
  );
}

/** What is told of a credential that is sound but must wait. */
export function blockedUntil(time: Date): DomainError {
  const retryAfterSeconds = Math.max(1, Math.ceil((time.getTime() - Date.now()) / 1000));
  return new DomainError(
    "RESOURCE_EXHAUSTED",
    "TEMPORARILY_BLOCKED",
    "blocked for a while because of unusual use; ask an administrator",
    { retryAfterSeconds },
  );
}
