/** The transcoder's own failures: ConnectErrors that know their HTTP status. */
import { Code, ConnectError } from "@connectrpc/connect";
import { BadRequestSchema } from "../../gen/google/rpc/error_details_pb.js";

/** A failure of the HTTP request itself, answered with a status that its code does not imply. */
export class HttpError extends ConnectError {
  /** For example 405, 413 or 415. */
  readonly httpStatus: number;

  constructor(httpStatus: number, code: Code, message: string, headers?: Record<string, string>) {
    super(message, code, headers);
    this.httpStatus = httpStatus;
  }
}

/** Tells an HttpError. (`instanceof` is true of every ConnectError: they answer it for subclasses.) */
export function isHttpError(error: unknown): error is HttpError {
  return error instanceof ConnectError && "httpStatus" in error;
}

/**
 * The caller wrote something wrong. `field` is a path in JSON names, a query
 * parameter or a header; it is empty where the whole request is meant.
 */
export function invalidArgument(field: string, description: string): ConnectError {
  const message = field === "" ? description : `${field}: ${description}`;
  const violations = { fieldViolations: [{ field, description }] };
  return new ConnectError(message, Code.InvalidArgument, undefined, [
    { desc: BadRequestSchema, value: violations },
  ]);
}

/** Shortens what a caller sent, so that it can be quoted in a message. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text);
}

/** Codes for the HTTP statuses that Fastify and its plugins fail with. */
const codes: ReadonlyMap<number, Code> = new Map([
  [401, Code.Unauthenticated],
  [403, Code.PermissionDenied],
  [404, Code.NotFound],
  [408, Code.DeadlineExceeded],
  [413, Code.ResourceExhausted],
  [429, Code.ResourceExhausted],
  [503, Code.Unavailable],
]);

/** An error of Fastify or of a hook: one with an HTTP status keeps it, unless it says "internal". */
export function fromFastify(error: unknown): unknown {
  const { statusCode, message = "" } = error as { statusCode?: number; message?: string };
  if (statusCode === undefined || statusCode < 400) return error;
  const code = codes.get(statusCode) ?? (statusCode < 500 ? Code.InvalidArgument : undefined);
  if (code === undefined) return error;
  // Fastify's own words for an empty content type do not say what would be right.
  const text = statusCode === 415 ? "content-type: must be application/json in UTF-8" : message;
  return new HttpError(statusCode, code, text);
}
