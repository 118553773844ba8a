/** Decides which calls are traced, and makes the span of those that are. */
import { errorTypeOf, type Span, type SpanAttributes, withSpan } from "./span.ts";
import { readTraceparent, type RemoteParent } from "./traceparent.ts";

/** Makes the first span of this process in a trace. */
export type StartRoot = (
  name: string,
  attributes: SpanAttributes,
  parent: { remote: RemoteParent; state: string | null } | undefined,
) => Span;

/** What traces are made with, once OpenTelemetry is loaded. */
export interface SpanSource {
  startRoot: StartRoot;
  /** Sends what has not been sent, within `limitMs`. */
  close(limitMs: number): Promise<void>;
}

/** A call as tracing sees it. */
export interface TracedCall {
  /** `tribe.v1.ChatService/SendMessage`. */
  readonly rpc: string;
  readonly door: string;
  readonly requestId: string;
  readonly header: Headers;
}

/** How a call ended, as its log line tells it. */
export interface CallEnd {
  readonly code: string;
  readonly cause?: unknown;
  readonly userId?: string;
  readonly runId?: string;
  readonly conversationId?: string;
}

/** The trace of a call. */
export interface CallTrace {
  readonly traceId: string;
  /** Undefined: the trace is not sampled. */
  readonly span:
    | {
        /** Runs a part of the call's work. */
        run<Result>(work: () => Result): Result;
        end(entry: CallEnd): void;
      }
    | undefined;
}

/** Undefined for a call of no trace: then nothing is made. */
export type TraceCall = (call: TracedCall) => CallTrace | undefined;

export interface TracingOptions {
  /** Undefined: nothing is sampled, and only the ids of callers' traces are known. */
  source: SpanSource | undefined;
  /**
   * Part of the traces that begin here, 0 to 1; looks at the health begin none. Those of a caller
   * are as the caller says.
   */
  ratio: number;
  random?: () => number;
}

/** Codes that say that the server failed, rather than the caller. */
const serverErrors = new Set(["UNKNOWN", "DEADLINE_EXCEEDED", "UNIMPLEMENTED", "INTERNAL"]);
for (const code of ["UNAVAILABLE", "DATA_LOSS"]) serverErrors.add(code);

/** Probes ask every few seconds and would be most of the traces. */
function isProbe(rpc: string): boolean {
  return rpc.startsWith("tribe.v1.HealthService/") || rpc.startsWith("grpc.health.v1.Health/");
}

/** Makes the function that every call begins with. */
export function createTracing({ source, ratio, random = Math.random }: TracingOptions): TraceCall {
  return (call) => {
    const remote = readTraceparent(call.header.get("traceparent"));
    if (remote === undefined) {
      if (source === undefined || random() >= ratio || isProbe(call.rpc)) return undefined;
      return traced(source.startRoot(call.rpc, attributesOf(call), undefined));
    }
    if (source === undefined || !remote.sampled) {
      return { traceId: remote.traceId, span: undefined };
    }
    const state = call.header.get("tracestate");
    return traced(source.startRoot(call.rpc, attributesOf(call), { remote, state }));
  };
}

function attributesOf({ rpc, door, requestId }: TracedCall): SpanAttributes {
  return {
    "rpc.system.name": door === "grpc" || door === "grpc-web" ? "grpc" : "connectrpc",
    "rpc.method": rpc,
    "tribe.door": door,
    "tribe.request.id": requestId,
  };
}

function traced(span: Span): CallTrace {
  return {
    traceId: span.traceId,
    span: {
      run: (work) => withSpan(span, work),
      end({ code, cause, userId, runId, conversationId }) {
        span.set({
          "rpc.response.status_code": code,
          "enduser.id": userId,
          "tribe.run.id": runId,
          "gen_ai.conversation.id": conversationId,
        });
        if (!serverErrors.has(code)) span.end();
        else span.end(cause === undefined ? code : errorTypeOf(cause));
      },
    },
  };
}
