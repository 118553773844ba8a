/** W3C Trace Context. https://www.w3.org/TR/trace-context/ */

/** The caller's part of a trace. */
export interface RemoteParent {
  readonly traceId: string;
  readonly spanId: string;
  readonly sampled: boolean;
}

// A later version may have more after the flags; what is known of it stays the same.
const pattern = /^(?!ff)([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
const zeros = /^0+$/;

/** Reads `traceparent`; undefined when there is none, or one that says nothing valid. */
export function readTraceparent(header: string | null): RemoteParent | undefined {
  if (header === null) return undefined;
  const [, version, traceId = "", spanId = "", flags = "", more] = pattern.exec(header) ?? [];
  if (version === undefined || zeros.test(traceId) || zeros.test(spanId)) return undefined;
  if (version === "00" && more !== undefined) return undefined;
  return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}
