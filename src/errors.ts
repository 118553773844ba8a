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

/**
 * Every reason that a DomainError can give, with the code that it has and what it means to a
 * caller. What is none of these (an unknown method, a message that cannot be parsed by gRPC) has
 * the name of its code for a reason.
 */
export const errorReasons = {
  ANSWER_NOT_STORED: [
    "UNAVAILABLE",
    "The model answered, the database was away for too long; ask again.",
  ],
  API_KEY_NOT_ALIVE: ["FAILED_PRECONDITION", "The API key was revoked or has expired."],
  BUDGET_EXHAUSTED: [
    "RESOURCE_EXHAUSTED",
    "A budget does not pay for the call; `resetTime` says until when.",
  ],
  CONTENT_NOT_READABLE: [
    "INTERNAL",
    "Stored content is encrypted with a key that the server does not have.",
  ],
  CONTEXT_TOO_LONG: ["INVALID_ARGUMENT", "The question does not fit into the model's context."],
  CROSS_SITE_REQUEST: ["PERMISSION_DENIED", "A cookie came with a request of another site."],
  DATABASE_UNAVAILABLE: ["UNAVAILABLE", "PostgreSQL does not answer."],
  EMAIL_TAKEN: ["ALREADY_EXISTS", "A user has this e-mail already."],
  ETAG_MISMATCH: ["ABORTED", "It has changed since the etag was given; get it again."],
  FIRST_ADMINISTRATOR: [
    "FAILED_PRECONDITION",
    "The user of `ADMIN_API_KEY` stays an administrator.",
  ],
  IDEMPOTENCY_KEY_RACE: ["ABORTED", "The first request with this key has just ended; try again."],
  IDEMPOTENCY_KEY_REUSED: ["ALREADY_EXISTS", "The key was used for a different request."],
  INTERNAL: ["INTERNAL", "A fault of the server, which has logged it by the request's id."],
  INVALID_FIELD: ["INVALID_ARGUMENT", "A field is wrong; `BadRequest` says which and why."],
  ISSUER_UNAVAILABLE: ["UNAVAILABLE", "The issuer of the token does not answer."],
  LIMIT_EXCEEDED: [
    "RESOURCE_EXHAUSTED",
    "A limit was met; `QuotaFailure` says which, `RetryInfo` until when.",
  ],
  MALFORMED_REQUEST: ["INVALID_ARGUMENT", "The request is not what it says to be: JSON, protobuf."],
  MODEL_PRICE_UNKNOWN: [
    "FAILED_PRECONDITION",
    "A budget applies, and the model's price is not known.",
  ],
  NOT_FOUND: ["NOT_FOUND", "There is no such thing, or it is somebody else's."],
  NOT_READY: ["UNAVAILABLE", "The instance takes no calls yet, or no more."],
  NO_EMAIL: ["FAILED_PRECONDITION", "The user has no e-mail, and so no password."],
  NO_SESSION: ["FAILED_PRECONDITION", "The caller came with an API key, which has no session."],
  OVERLOADED: ["UNAVAILABLE", "The server is busy; less important calls are refused first."],
  PERMISSION_DENIED: [
    "PERMISSION_DENIED",
    "The caller may not do this; `permission` says what is needed.",
  ],
  PROVIDER_AUTHENTICATION_FAILED: ["UNAVAILABLE", "The provider refused the operator's key."],
  PROVIDER_FIRST_TOKEN_TIMEOUT: ["DEADLINE_EXCEEDED", "The provider said nothing in time."],
  PROVIDER_IDLE_TIMEOUT: ["DEADLINE_EXCEEDED", "The provider fell silent within its answer."],
  PROVIDER_QUOTA_EXHAUSTED: ["UNAVAILABLE", "The operator's account at the provider is used up."],
  PROVIDER_RATE_LIMITED: ["RESOURCE_EXHAUSTED", "The provider limits the operator's calls."],
  PROVIDER_REJECTED_REQUEST: ["INVALID_ARGUMENT", "The provider finds the request wrong."],
  PROVIDER_STREAM_TRUNCATED: ["UNAVAILABLE", "The provider's answer broke off."],
  PROVIDER_TOTAL_TIMEOUT: ["DEADLINE_EXCEEDED", "The answer took too long in all."],
  PROVIDER_UNAVAILABLE: ["UNAVAILABLE", "The provider cannot be reached, or failed."],
  REDIS_UNAVAILABLE: ["UNAVAILABLE", "Redis does not answer, and the call needs it."],
  RUN_CANCELLED: ["CANCELLED", "The run was cancelled; what had arrived is stored."],
  RUN_INTERRUPTED: ["UNAVAILABLE", "The run's process ended; what had arrived is stored."],
  RUN_LOST: ["UNAVAILABLE", "The run's end cannot be told now; ask for it later."],
  RUN_SETTLED: ["ABORTED", "The run had already ended."],
  RUN_WITHDRAWN: [
    "ABORTED",
    "Nothing is stored of the run: its request was refused, or its conversation deleted.",
  ],
  SEARCH_IS_OFF: ["FAILED_PRECONDITION", "Messages are encrypted at rest, and not indexed."],
  SHUTTING_DOWN: ["UNAVAILABLE", "The instance is going; another one takes the call."],
  SIGN_IN_LOCKED: ["RESOURCE_EXHAUSTED", "Too many failed attempts to sign in."],
  TEMPORARILY_BLOCKED: ["RESOURCE_EXHAUSTED", "Blocked for a while because of unusual use."],
  TOO_MANY_SIGN_INS: ["RESOURCE_EXHAUSTED", "Too many people are signing in; try again."],
  UNAUTHENTICATED: ["UNAUTHENTICATED", "No credential, or one that is not valid."],
} as const satisfies Record<string, readonly [code: ErrorCode, meaning: string]>;

/** Why a call failed, for programs. */
export type ErrorReason = keyof typeof errorReasons;

/** Whether a text is one of ours: stored by another version it may not be. */
export function isErrorReason(text: string): text is ErrorReason {
  return Object.hasOwn(errorReasons, text);
}

/** The code that goes with a reason. */
export function codeOfReason(reason: ErrorReason): ErrorCode {
  return errorReasons[reason][0];
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
  /** google.rpc.ErrorInfo.reason in domain `tribe`. */
  readonly reason: ErrorReason;
  readonly fields: readonly FieldViolation[];
  readonly quotas: readonly QuotaViolation[];
  readonly retryAfterSeconds: number | undefined;
  readonly metadata: Readonly<Record<string, string>>;
  /** Whoever passes the error on may add some. */
  readonly headers: Record<string, string>;

  constructor(
    code: ErrorCode,
    reason: ErrorReason,
    message: string,
    options: DomainErrorOptions = {},
  ) {
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
export function unavailable(reason: ErrorReason, message: string, cause?: unknown): DomainError {
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
