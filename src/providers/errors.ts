/**
 * Says of every failure of a provider call whose fault it was: the caller's
 * input, the operator's account, or the provider. One mapping for SDK errors,
 * connection errors and errors inside a stream.
 */
import { DomainError } from "../errors.ts";

/** Who was asked, for messages and ErrorInfo metadata. */
export interface ProviderTarget {
  provider: string;
  model: string;
}

/** What a provider said when it failed, in its own words. */
export interface ProviderComplaint {
  /** HTTP status; undefined inside a stream. */
  status?: number | undefined;
  /** The provider's error type, such as `overloaded_error`. */
  type?: string | undefined;
  /** The provider's error code, such as `context_length_exceeded`. */
  code?: string | undefined;
  message: string;
  retryAfterSeconds?: number | undefined;
  /** For the log only. */
  cause?: unknown;
}

/** What to do about a failure of the provider that may be over soon. */
const RETRY_AFTER_SECONDS = 1;

/** Seconds of pause that the provider itself asked for; the error's own may be a guess. */
const ASKED_PAUSE = "retryAfterSeconds";

const CONTEXT_TOO_LONG =
  /context.?length|context.?window|context.?size|prompt is too long|too many (input )?tokens|maximum.{0,20}context|input is too long/i;
const OUT_OF_CREDIT =
  /insufficient_quota|billing_error|exceeded your current quota|credit balance is too low|spend_limit_reached/i;
const RATE_LIMITED = /rate.?limit/i;
const OVERLOADED =
  /overloaded|unavailable|server_error|api_error|internal|timeout|engine|insufficient_system_resource/i;
const REFUSED_KEY = /authentication|permission|invalid_api_key/i;

/** Maps what a provider complained about. */
export function complaintError(complaint: ProviderComplaint, target: ProviderTarget): DomainError {
  const { status, cause } = complaint;
  const kind = `${complaint.type ?? ""} ${complaint.code ?? ""}`;
  const message = cleanMessage(complaint.message);
  const retryAfterSeconds = complaint.retryAfterSeconds;
  const metadata = {
    ...metadataOf(target, status),
    ...(retryAfterSeconds !== undefined && { [ASKED_PAUSE]: String(retryAfterSeconds) }),
  };

  if (status === 401 || status === 403 || (status === undefined && REFUSED_KEY.test(kind))) {
    // The provider's message may quote the key.
    return new DomainError(
      "UNAVAILABLE",
      "PROVIDER_AUTHENTICATION_FAILED",
      `${target.provider} refused the operator's key; the operator must check it`,
      { metadata, cause },
    );
  }
  if (status === 402 || OUT_OF_CREDIT.test(`${kind} ${message}`)) {
    return new DomainError(
      "UNAVAILABLE",
      "PROVIDER_QUOTA_EXHAUSTED",
      `the operator's account at ${target.provider} is used up; the operator must raise its limit`,
      { metadata, cause },
    );
  }
  if (status === 429 || (status === undefined && RATE_LIMITED.test(kind))) {
    return new DomainError(
      "RESOURCE_EXHAUSTED",
      "PROVIDER_RATE_LIMITED",
      `${target.provider} limits the rate of calls to ${target.model}`,
      { metadata, cause, retryAfterSeconds: retryAfterSeconds ?? RETRY_AFTER_SECONDS },
    );
  }
  if (isRejection(status, kind)) {
    const [reason, what] = CONTEXT_TOO_LONG.test(`${kind} ${message}`)
      ? (["CONTEXT_TOO_LONG", "finds the context too long"] as const)
      : (["PROVIDER_REJECTED_REQUEST", "rejected the request"] as const);
    return new DomainError(
      "INVALID_ARGUMENT",
      reason,
      `${target.provider} ${what}: ${message || `status ${status}`}`,
      { metadata, cause },
    );
  }
  return new DomainError(
    "UNAVAILABLE",
    "PROVIDER_UNAVAILABLE",
    `${target.provider} failed${status === undefined ? "" : ` with status ${status}`}${message && `: ${message}`}`,
    { metadata, cause, retryAfterSeconds: retryAfterSeconds ?? RETRY_AFTER_SECONDS },
  );
}

/** Whether the provider says that the input is wrong. */
function isRejection(status: number | undefined, kind: string): boolean {
  if (status !== undefined) {
    return status >= 400 && status < 500 && status !== 408 && status !== 409 && status !== 425;
  }
  return /invalid|not_found|too_large|context_length|unsupported/i.test(kind)
    ? !OVERLOADED.test(kind)
    : false;
}

/** The answer stopped before its end. */
export function truncatedError(
  target: ProviderTarget,
  detail: string,
  cause?: unknown,
): DomainError {
  return new DomainError(
    "UNAVAILABLE",
    "PROVIDER_STREAM_TRUNCATED",
    `the answer of ${target.provider} broke off: ${detail}`,
    { metadata: metadataOf(target), cause, retryAfterSeconds: RETRY_AFTER_SECONDS },
  );
}

/** What the provider sent is not what its protocol says. */
export function protocolError(
  target: ProviderTarget,
  detail: string,
  cause?: unknown,
): DomainError {
  return new DomainError(
    "UNAVAILABLE",
    "PROVIDER_UNAVAILABLE",
    `${target.provider} sent something that is not an answer: ${detail}`,
    { metadata: metadataOf(target), cause, retryAfterSeconds: RETRY_AFTER_SECONDS },
  );
}

/** The connection could not be made or broke. `started`: whether the answer had begun. */
export function connectionError(
  target: ProviderTarget,
  error: unknown,
  started: boolean,
): DomainError {
  const code = connectionCode(error);
  if (started) return truncatedError(target, code || "the connection was lost", error);
  return new DomainError(
    "UNAVAILABLE",
    "PROVIDER_UNAVAILABLE",
    `${target.provider} cannot be reached${code && ` (${code})`}`,
    { metadata: metadataOf(target), cause: error, retryAfterSeconds: RETRY_AFTER_SECONDS },
  );
}

/** Seconds to wait, from `retry-after-ms` or `retry-after` (seconds or a date). */
export function retryAfterSeconds(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): number | undefined {
  const milliseconds = Number(headers["retry-after-ms"] ?? Number.NaN);
  if (milliseconds >= 0) return Math.ceil(milliseconds / 1000);
  const value = headers["retry-after"];
  if (value === undefined) return undefined;
  const seconds = Number(value);
  if (seconds >= 0) return Math.ceil(seconds);
  const date = Date.parse(String(value));
  return Number.isNaN(date) ? undefined : Math.max(0, Math.ceil((date - Date.now()) / 1000));
}

/** Milliseconds of pause that the provider asked for in so many words. */
export function askedPauseMs(error: DomainError): number | undefined {
  const seconds = error.metadata[ASKED_PAUSE];
  return seconds === undefined ? undefined : Number(seconds) * 1000;
}

function metadataOf(target: ProviderTarget, status?: number): Record<string, string> {
  const { provider, model } = target;
  return status === undefined ? { provider, model } : { provider, model, status: String(status) };
}

/** The innermost system or undici error code, such as `ECONNREFUSED`. */
function connectionCode(error: unknown): string {
  let code = "";
  for (let cause = error, depth = 0; cause instanceof Error && depth < 8; depth += 1) {
    if ("code" in cause && typeof cause.code === "string") code = cause.code;
    cause = cause.cause;
  }
  return code;
}

/** The provider's words, without anything that looks like a key, at most 1,000 characters. */
function cleanMessage(message: string): string {
  return message.replace(/\b(sk|key|Bearer)[-_ ][\w*.-]{6,}/gi, "…").slice(0, 1000);
}
