/** What the outermost interceptor needs of tracing. */
import type { CallEntry } from "./calls.ts";

/** A call when it begins. */
export interface TracedCall {
  /** `tribe.v1.ChatService/SendMessage`. */
  readonly rpc: string;
  readonly door: string;
  readonly requestId: string;
  readonly header: Headers;
}

/** The trace that a call belongs to. */
export interface CallTrace {
  readonly traceId: string;
  /** Undefined: the trace is not sampled. */
  readonly span:
    | {
        /** Runs a part of the call's work. */
        run<Result>(work: () => Result): Result;
        end(entry: CallEntry): void;
      }
    | undefined;
}

/** Undefined for a call of no trace: then nothing is made. */
export type TraceCall = (call: TracedCall) => CallTrace | undefined;
