import { DomainError } from "../../errors.ts";
import {
  complaintError,
  connectionError,
  protocolError,
  retryAfterSeconds,
  type ProviderTarget,
} from "../errors.ts";
import { UnexpectedBodyError } from "./event-stream.ts";

/** What both SDKs' errors for a bad status have. */
interface StatusError extends Error {
  status: number;
  headers?: { get(name: string): string | null };
  /** The parsed body, or the `error` object in it. */
  error?: unknown;
}

interface ErrorBody {
  message?: unknown;
  type?: unknown;
  code?: unknown;
  error?: ErrorBody | string;
}

/**
 * Maps whatever a call through an SDK and our fetch failed with. `started`:
 * whether the answer had begun.
 */
export function callError(error: unknown, target: ProviderTarget, started: boolean): DomainError {
  if (error instanceof DomainError) return error;
  if (isStatusError(error)) {
    const complaint = readErrorBody(error.error);
    return complaintError(
      {
        ...complaint,
        message: complaint.message || error.message,
        status: error.status,
        retryAfterSeconds: retryAfterSeconds(error.headers),
        cause: error,
      },
      target,
    );
  }
  if (error instanceof UnexpectedBodyError) {
    // Some servers report errors with status 200.
    const complaint = readErrorBody(parseJson(error.body));
    return complaint.message
      ? complaintError({ ...complaint, cause: error }, target)
      : protocolError(target, error.message, error);
  }
  if (error instanceof RangeError) return protocolError(target, error.message, error);
  return connectionError(target, error, started);
}

function isStatusError(error: unknown): error is StatusError {
  return error instanceof Error && "status" in error && typeof error.status === "number";
}

/** Finds message, type and code in `{error: {…}}`, `{…}` or `{error: "…"}`. */
function readErrorBody(body: unknown): { message: string; type?: string; code?: string } {
  if (typeof body !== "object" || body === null) return { message: "" };
  const { error } = body as ErrorBody;
  if (typeof error === "string") return { message: error };
  const { message, type, code } = error ?? (body as ErrorBody);
  return {
    message: typeof message === "string" ? message : "",
    ...(typeof type === "string" && { type }),
    ...(typeof code === "string" && { code }),
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
