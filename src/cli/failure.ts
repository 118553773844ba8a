import { Code, ConnectError } from "@connectrpc/connect";
import { ConfigError } from "../config.ts";
import { DomainError } from "../errors.ts";
import { OperatorError, UsageError } from "./usage-error.ts";

/** What the process ends with. */
export const exitCodes = { done: 0, failed: 1, usage: 2 } as const;

/** What went wrong, with what to do about it, and what to end with. */
export function describeFailure(error: unknown): { text: string; exitCode: number } {
  if (error instanceof UsageError) {
    return { text: `tribe: ${error.message}`, exitCode: exitCodes.usage };
  }
  return { text: describe(error), exitCode: exitCodes.failed };
}

function describe(error: unknown): string {
  if (error instanceof OperatorError || error instanceof ConfigError) return error.message;
  if (error instanceof ConnectError) return describeRefusal(error);
  if (error instanceof DomainError) return describeDomainError(error);
  return error instanceof Error ? error.message : String(error);
}

function describeRefusal(error: ConnectError): string {
  const { rawMessage, code } = error;
  switch (code) {
    case Code.Unavailable:
      return `The service does not answer: ${rawMessage}. Is it running, and is --server (TRIBE_SERVER) its gRPC port?`;
    case Code.Unauthenticated:
      return `The service does not accept the API key: ${rawMessage}. See TRIBE_API_KEY and --key-file.`;
    case Code.PermissionDenied:
      return `The API key may not do this: ${rawMessage}. Use an administrator's key.`;
    case Code.Internal:
      return `The service failed: ${rawMessage}. Its log says why.`;
    default:
      return rawMessage;
  }
}

function describeDomainError(error: DomainError): string {
  if (error.reason !== "DATABASE_UNAVAILABLE") return error.message;
  const cause =
    error.cause instanceof Error
      ? error.cause.message || String((error.cause as NodeJS.ErrnoException).code)
      : "";
  return `The database of DATABASE_URL does not answer${cause && `: ${cause}`}.`;
}
