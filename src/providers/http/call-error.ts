import { DomainError } from "../../errors.ts";
import { complaintError, connectionError, protocolError, type ProviderTarget } from "../errors.ts";
import { UnexpectedBodyError } from "./event-stream.ts";
import { StatusError } from "./status-error.ts";

interface ErrorBody {
  message?: unknown;
  type?: unknown;
  code?: unknown;
  error?: ErrorBody | string;
}

/**
 * Maps whatever a call failed with. `started`: whether the answer had begun.
 */
export function callError(error: unknown, target: ProviderTarget, started: boolean): DomainError {
  if (error instanceof DomainError) return error;
  if (error instanceof StatusError) {
    const complaint = readErrorBody(parseJson(error.body));
    return complaintError(
      {
        ...complaint,
        message: complaint.message || error.message,
        status: error.status,
        retryAfterSeconds: error.retryAfterSeconds,
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
