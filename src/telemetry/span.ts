/**
 * Spans as the rest of Tribe sees them. Only sampled calls have any: for all others nothing is
 * made, and whoever would open a span finds none to open it under. The SDK is known to otel.ts.
 */
import { AsyncLocalStorage } from "node:async_hooks";

/** What is known of a span, by names of OpenTelemetry's conventions. Undefined values are left out. */
export type SpanAttributes = Readonly<
  Record<string, string | number | boolean | readonly string[] | undefined>
>;

/** A piece of work of a sampled trace. */
export interface Span {
  /** 32 hexadecimal digits. */
  readonly traceId: string;
  /** 16 hexadecimal digits. */
  readonly spanId: string;
  /** Whether what people and models say may be recorded: only where the operator wants it. */
  readonly recordsContent: boolean;
  /** W3C headers for a provider, names and values in turn; undefined: it is told nothing. */
  readonly providerHeaders: readonly string[] | undefined;
  /** Whether it has ended; what happens later belongs to no trace. */
  readonly isEnded: boolean;
  /** Begins a piece of this work. `client`: somebody else does it. */
  child(name: string, kind: "client" | "internal", attributes?: SpanAttributes): Span;
  set(attributes: SpanAttributes): void;
  /** Ends it, once. `errorType`: a short word for what it failed with, never a message. */
  end(errorType?: string): void;
}

const storage = new AsyncLocalStorage<Span>();

/** The span of the work that runs now; undefined when its trace is not sampled. */
export function currentSpan(): Span | undefined {
  const span = storage.getStore();
  return span === undefined || span.isEnded ? undefined : span;
}

/** Runs `work`, and all that it starts, as work of the span. */
export function withSpan<Result>(span: Span, work: () => Result): Result {
  return storage.run(span, work);
}

/** Runs `work` as work of a new child of `parent`, which ends with it. */
export async function inChild<Result>(
  parent: Span,
  name: string,
  attributes: SpanAttributes,
  work: () => Promise<Result>,
): Promise<Result> {
  const span = parent.child(name, "client", attributes);
  try {
    const result = await storage.run(span, work);
    span.end();
    return result;
  } catch (error) {
    span.end(errorTypeOf(error));
    throw error;
  }
}

/** A word for a failure: its reason, its code, or the name of its class. Never its message. */
export function errorTypeOf(error: unknown): string {
  if (!(error instanceof Error)) return "unknown";
  const { reason, code } = error as { reason?: unknown; code?: unknown };
  for (const word of [reason, code]) {
    if (typeof word === "string" && /^[A-Z0-9_]{1,64}$/.test(word)) return word;
  }
  return error.name;
}
