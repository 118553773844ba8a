import { DomainError, unavailable } from "../errors.ts";

/** Codes of Node's network errors that mean: PostgreSQL cannot be reached now. */
const networkCodes = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENETDOWN",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENOENT",
]);

/**
 * SQLSTATEs after which the same call may work in a moment: lost connections (08), no
 * resources (53), shut down or cancelled (57), a standby (25006), a deadlock or a
 * serialization failure (40). https://www.postgresql.org/docs/current/errcodes-appendix.html
 */
const transientState = /^(08...|53...|57...|25006|40001|40P01)$/;

/** Node's and OpenSSL's codes that mean: the other side of TLS is not whom we trust. */
const tlsCode =
  /^(SELF_SIGNED_CERT_|DEPTH_ZERO_SELF_SIGNED_CERT|UNABLE_TO_|CERT_|ERR_TLS_|ERR_SSL_|HOSTNAME_MISMATCH|INVALID_CA|INVALID_PURPOSE)/;

/** What pg and its pool say without a code. */
const clientMessages =
  /connection terminated|timeout exceeded when trying to connect|timeout expired|query read timeout|connection error and is not queryable|client was closed|does not support ssl connections/i;

/** Whether the failure is PostgreSQL's absence, not a mistake in what it was asked. */
export function isDatabaseUnavailable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  if (typeof code === "string") {
    return networkCodes.has(code) || transientState.test(code) || tlsCode.test(code);
  }
  return clientMessages.test(error.message);
}

/**
 * Rethrows a failure of PostgreSQL: UNAVAILABLE `DATABASE_UNAVAILABLE` with RetryInfo
 * when it is not there, everything else as it is, since that is a bug of ours.
 */
export function throwDatabaseFailure(error: unknown): never {
  if (!(error instanceof DomainError) && isDatabaseUnavailable(error)) {
    throw unavailable("DATABASE_UNAVAILABLE", "the database does not answer", error);
  }
  throw error;
}

/** The constraint that an error says was violated, as PostgreSQL names it. */
export function violatedConstraint(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  const { code, constraint } = error as { code?: unknown; constraint?: unknown };
  const violated = typeof code === "string" && code.startsWith("23");
  return violated && typeof constraint === "string" ? constraint : undefined;
}
