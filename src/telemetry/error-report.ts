/** An error that nobody expected, and where it happened. No content, no secret. */
export interface ErrorReport {
  readonly error: unknown;
  /** `tribe.v1.ChatService/SendMessage`, or what else was being done. */
  readonly where: string;
  readonly door?: string | undefined;
  readonly requestId?: string | undefined;
  readonly runId?: string | undefined;
  readonly userId?: string | undefined;
  readonly traceId?: string | undefined;
}

/** Takes a report. Never throws, and nobody waits for it. */
export type ReportError = (report: ErrorReport) => void;

/** Codes of failures that are bugs, rather than mistakes of callers or outages. */
const unexpectedCodes: ReadonlySet<string> = new Set(["INTERNAL", "UNKNOWN", "DATA_LOSS"]);

/** Whether a failure of this code is one that nobody expected. */
export function isUnexpected(code: string): boolean {
  return unexpectedCodes.has(code);
}
