/**
 * Turns whatever a handler threw into the ConnectError that every door sends,
 * with the details of google.rpc. https://google.aip.dev/193
 */
import { Code, ConnectError } from "@connectrpc/connect";
import {
  BadRequestSchema,
  ErrorInfoSchema,
  QuotaFailureSchema,
  RequestInfoSchema,
  RetryInfoSchema,
} from "../../gen/google/rpc/error_details_pb.js";
import { DomainError, type ErrorCode } from "../errors.ts";

/** google.rpc.ErrorInfo.domain of all our errors. */
export const errorDomain = "tribe";

type OutgoingDetail = NonNullable<ConstructorParameters<typeof ConnectError>[3]>[number];

const codes: Record<ErrorCode, Code> = {
  CANCELLED: Code.Canceled,
  INVALID_ARGUMENT: Code.InvalidArgument,
  DEADLINE_EXCEEDED: Code.DeadlineExceeded,
  NOT_FOUND: Code.NotFound,
  ALREADY_EXISTS: Code.AlreadyExists,
  PERMISSION_DENIED: Code.PermissionDenied,
  RESOURCE_EXHAUSTED: Code.ResourceExhausted,
  FAILED_PRECONDITION: Code.FailedPrecondition,
  ABORTED: Code.Aborted,
  UNIMPLEMENTED: Code.Unimplemented,
  INTERNAL: Code.Internal,
  UNAVAILABLE: Code.Unavailable,
  UNAUTHENTICATED: Code.Unauthenticated,
};

const codeNames = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
] as const;

/** Name of a gRPC status code, as `INVALID_ARGUMENT`; 0 is `OK`. */
export function codeName(code: number): string {
  return codeNames[code] ?? "UNKNOWN";
}

/**
 * Metadata travels in HTTP headers, of which gRPC clients take 8 KiB: what a
 * caller wrote into field names must not grow the error beyond that.
 */
const maxMessageLength = 1000;
const maxFieldLength = 200;
const maxViolations = 12;

/**
 * The error that a caller sees.
 * @param signal the call's own; an abort by it is told as what caused it.
 */
export function toConnectError(
  reason: unknown,
  requestId: string,
  signal?: AbortSignal,
): ConnectError {
  if (reason instanceof DomainError) return fromDomainError(reason, requestId);
  if (signal?.aborted && (reason === signal.reason || isAbortError(reason))) {
    return fromAbort(signal, requestId);
  }
  if (reason instanceof ConnectError && isMeantForCallers(reason)) {
    return withInfo(reason, requestId);
  }
  return internalError(reason, requestId);
}

/** "internal error": what it really was stays in `cause`, for the log. */
function internalError(cause: unknown, requestId: string): ConnectError {
  const details = [errorInfo("INTERNAL"), requestInfo(requestId)];
  return new ConnectError("internal error", Code.Internal, undefined, details, cause);
}

function fromDomainError(error: DomainError, requestId: string): ConnectError {
  const details: OutgoingDetail[] = [errorInfo(error.reason, error.metadata)];
  if (error.fields.length > 0) {
    const fieldViolations = error.fields.slice(0, maxViolations).map((violation) => ({
      field: shorten(violation.field, maxFieldLength),
      description: shorten(violation.description, maxMessageLength),
    }));
    details.push({ desc: BadRequestSchema, value: { fieldViolations } });
  }
  if (error.quotas.length > 0) {
    const violations = error.quotas.slice(0, maxViolations);
    details.push({ desc: QuotaFailureSchema, value: { violations: [...violations] } });
  }
  const retryAfter = error.retryAfterSeconds;
  if (retryAfter !== undefined) {
    const seconds = Math.floor(retryAfter);
    const nanos = Math.round((retryAfter - seconds) * 1e9);
    details.push({
      desc: RetryInfoSchema,
      value: { retryDelay: { seconds: BigInt(seconds), nanos } },
    });
  }
  details.push(requestInfo(requestId));
  return new ConnectError(
    shorten(error.message, maxMessageLength),
    codes[error.code],
    headersOf(error),
    details,
    error,
  );
}

function headersOf({ code, retryAfterSeconds, headers }: DomainError): Record<string, string> {
  // OpenAI's and Anthropic's clients retry every 409 that does not say otherwise.
  if (code === "ALREADY_EXISTS") return { ...headers, "x-should-retry": "false" };
  if (retryAfterSeconds === undefined) return headers;
  // The header knows whole seconds only.
  return { ...headers, "retry-after": String(Math.ceil(retryAfterSeconds)) };
}

/** An abort is the caller's doing (it left) or the deadline's, which Connect gives as the reason. */
function fromAbort(signal: AbortSignal, requestId: string): ConnectError {
  const reason: unknown = signal.reason;
  if (reason instanceof ConnectError && reason.code === Code.DeadlineExceeded) {
    return withInfo(
      new ConnectError(
        "the call took longer than its deadline allows; allow more time",
        Code.DeadlineExceeded,
      ),
      requestId,
    );
  }
  if (reason instanceof DomainError) return fromDomainError(reason, requestId);
  return withInfo(new ConnectError("the caller went away", Code.Canceled), requestId);
}

function isAbortError(reason: unknown): boolean {
  if (!(reason instanceof Error)) return false;
  return (
    reason.name === "AbortError" ||
    reason.name === "TimeoutError" ||
    (reason instanceof ConnectError &&
      (reason.code === Code.Canceled || reason.code === Code.Aborted))
  );
}

/**
 * Connect's own refusals are for the caller. Its wrappers of unknown errors are
 * not, and neither is what another server answered us.
 */
function isMeantForCallers(error: ConnectError): boolean {
  const ours = error as ConnectError & { readonly isWireError?: boolean };
  if (ours.isWireError) return false;
  return (
    error.code !== Code.Internal && error.code !== Code.Unknown && error.code !== Code.DataLoss
  );
}

/**
 * Adds ErrorInfo and RequestInfo to an error of Connect's own or of a door, in a
 * copy: it may be one object for many calls. A door's HTTP status goes along.
 */
function withInfo(error: ConnectError, requestId: string): ConnectError {
  const details = error.details.filter((detail): detail is OutgoingDetail => "desc" in detail);
  if (details.some(({ desc }) => desc.typeName === ErrorInfoSchema.typeName)) return error;
  const copy = new ConnectError(
    shorten(error.rawMessage, maxMessageLength),
    error.code,
    error.metadata,
    [errorInfo(codeName(error.code)), ...details, requestInfo(requestId)],
    error.cause,
  );
  const { httpStatus } = error as ConnectError & { readonly httpStatus?: number };
  return httpStatus === undefined ? copy : Object.assign(copy, { httpStatus });
}

function errorInfo(reason: string, metadata: Readonly<Record<string, string>> = {}) {
  return {
    desc: ErrorInfoSchema,
    value: { reason, domain: errorDomain, metadata: { ...metadata } },
  };
}

function requestInfo(requestId: string) {
  return { desc: RequestInfoSchema, value: { requestId } };
}

/** Cuts what is too long and what UTF-8 cannot carry: a lone surrogate would break the trailer. */
function shorten(text: string, length: number): string {
  const shortened = text.length > length ? `${text.slice(0, length - 1)}…` : text;
  return shortened.toWellFormed();
}
