import { DomainError } from "../../errors.ts";
import { complaintError, connectionError, protocolError, type ProviderTarget } from "../errors.ts";
import { readComplaint } from "./complaint.ts";
import { UnexpectedBodyError } from "./event-stream.ts";
import { StatusError } from "./status-error.ts";

/**
 * Maps whatever a call failed with. `started`: whether the answer had begun.
 */
export function callError(error: unknown, target: ProviderTarget, started: boolean): DomainError {
  if (error instanceof DomainError) return error;
  if (error instanceof StatusError) {
    const { status, retryAfterSeconds, body } = error;
    const complaint = readComplaint(body) ?? { message: body };
    return complaintError({ ...complaint, status, retryAfterSeconds, cause: error }, target);
  }
  if (error instanceof UnexpectedBodyError) {
    // Some servers report errors with status 200.
    const complaint = readComplaint(error.body);
    return complaint?.message
      ? complaintError({ ...complaint, cause: error }, target)
      : protocolError(target, error.message, error);
  }
  if (error instanceof RangeError) return protocolError(target, error.message, error);
  return connectionError(target, error, started);
}
