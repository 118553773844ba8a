/**
 * The one error vocabulary. Every failure that a caller may see is a DomainError;
 * anything else is a bug or an outage of ours and reaches the caller as
 * "internal error" with the request id, its cause only in the log.
 */

/** Names of the gRPC status codes that Tribe uses. https://grpc.io/docs/guides/status-codes/ */
export type ErrorCode =
  | "CANCELLED"
  | "INVALID_ARGUMENT"
  | "DEADLINE_EXCEEDED"
  | "NOT_FOUND"
  | "ALREADY_EXISTS"
  | "PERMISSION_DENIED"
  | "RESOURCE_EXHAUSTED"
  | "FAILED_PRECONDITION"
  | "ABORTED"
  | "UNIMPLEMENTED"
  | "INTERNAL"
  | "UNAVAILABLE"
  | "UNAUTHENTICATED";

const statusCodes: Record<ErrorCode, number> = {
  CANCELLED: 1,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
};

/** The number of a gRPC status code. */
export function statusCode(code: ErrorCode): number {
  return statusCodes[code];
}

/** A request field that is wrong. */
export interface FieldViolation {
  /** Path in JSON names, for example `content[0].image.mediaType`. */
  field: string;
  /** What is wrong and what would be right. */
  description: string;
}

/** A limit that was met. */
export interface QuotaViolation {
  /** Whose limit, for example `user:0198…`. */
  subject: string;
  /** Which limit and how large it is. */
  description: string;
}

export interface DomainErrorOptions {
  /** Field violations, sent as google.rpc.BadRequest. */
  fields?: readonly FieldViolation[];
  /** Limits met, sent as google.rpc.QuotaFailure. */
  quotas?: readonly QuotaViolation[];
  /** Sent as google.rpc.RetryInfo and the `retry-after` header. */
  retryAfterSeconds?: number;
  /** Facts for programs, sent as google.rpc.ErrorInfo.metadata. Never a secret. */
  metadata?: Readonly<Record<string, string>>;
  /** Sent as response headers, in gRPC as metadata. Names in lower case. */
  headers?: Readonly<Record<string, string>>;
  /** For the log only. */
  cause?: unknown;
}

/** A failure that the caller is told about. */
export class DomainError extends Error {
  override readonly name = "DomainError";
  /** gRPC status. */
  readonly code: ErrorCode;
  /** Machine-readable, UPPER_SNAKE_CASE: google.rpc.ErrorInfo.reason in domain `tribe`. */
  readonly reason: string;
  readonly fields: readonly FieldViolation[];
  readonly quotas: readonly QuotaViolation[];
  readonly retryAfterSeconds: number | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  /** Whoever passes the error on may add some. */
  readonly headers: Record<string, string>;

  constructor(code: ErrorCode, reason: string, message: string, options: DomainErrorOptions = {}) {
    super(message, { cause: options.cause });
    this.code = code;
    this.reason = reason;
    this.fields = options.fields ?? [];
    this.quotas = options.quotas ?? [];
    this.retryAfterSeconds = options.retryAfterSeconds;
    this.metadata = options.metadata ?? {};
    this.headers = { ...options.headers };
  }
}

/** A request field is wrong. `field` is a path in JSON names. */
export function invalidField(field: string, description: string): DomainError {
  return new DomainError("INVALID_ARGUMENT", "INVALID_FIELD", `${field}: ${description}`, {
    fields: [{ field, description }],
  });
}

/** There is no such thing, or it is somebody else's. */
export function notFound(resource: string, id: string): DomainError {
  return new DomainError("NOT_FOUND", "NOT_FOUND", `${resource} ${id} does not exist`, {
    metadata: { resource, id },
  });
}

/** No credential, or one that is not valid. */
export function unauthenticated(message: string): DomainError {
  return new DomainError("UNAUTHENTICATED", "UNAUTHENTICATED", message);
}

/** Something that we need does not answer; the same call may work in a moment. */
export function unavailable(reason: string, message: string, cause?: unknown): DomainError {
  return new DomainError("UNAVAILABLE", reason, message, { cause, retryAfterSeconds: 1 });
}

/** Limits were met: which ones and whose; the same call may work after the wait. */
export function limitExceeded(
  quotas: readonly QuotaViolation[],
  retryAfterSeconds: number,
  headers: Readonly<Record<string, string>> = {},
): DomainError {
  const [first] = quotas;
  return new DomainError(
    "RESOURCE_EXHAUSTED",
    "LIMIT_EXCEEDED",
    `${first?.description ?? "a limit was met"}; wait and try again`,
    { quotas, retryAfterSeconds, headers },
  );
}
