/**
 * Recorded traces as Sentry's transactions, which every Sentry takes: one for each call, with all
 * its spans, sent when the last of them has ended, because a turn may outlive its call.
 * https://develop.sentry.dev/sdk/data-model/event-payloads/transaction/
 */
import type { Context } from "@opentelemetry/api";
import { SpanStatusCode, trace } from "@opentelemetry/api";
import type { ReadableSpan, SpanProcessor } from "@opentelemetry/sdk-trace";
import type { SpanJSON, TransactionEvent } from "@sentry/core";

/** A call of which something goes on. */
interface Collected {
  readonly rootId: string;
  readonly ended: ReadableSpan[];
  open: number;
}

/** More calls at a time are not collected: a span that never ends must not fill the memory. */
const mostCalls = 1_000;
/** Sentry takes no more; of longer ones the rest is left out. */
const mostSpans = 1_000;

/** What was said is for collectors of the operator's own, however they are set up. */
const contentAttributes: ReadonlySet<string> = new Set([
  "gen_ai.input.messages",
  "gen_ai.output.messages",
  "gen_ai.request.stop_sequences",
  "gen_ai.system_instructions",
]);

/** Gathers spans into transactions. `send` must not throw. */
export function createTransactions(send: (event: TransactionEvent) => void): SpanProcessor {
  const calls = new Map<string, Collected>();
  /** Of every span that goes on. */
  const callOf = new Map<string, Collected>();

  return {
    onStart(span, parent: Context) {
      const { spanId } = span.spanContext();
      const above = trace.getSpanContext(parent);
      let call = above && callOf.get(above.spanId);
      if (call === undefined) {
        // What begins after everything else of its call has ended belongs to none.
        if ((above !== undefined && above.isRemote !== true) || calls.size >= mostCalls) return;
        call = { rootId: spanId, ended: [], open: 0 };
        calls.set(spanId, call);
      }
      call.open += 1;
      callOf.set(spanId, call);
    },
    onEnd(span) {
      const { spanId } = span.spanContext();
      const call = callOf.get(spanId);
      if (call === undefined) return;
      callOf.delete(spanId);
      call.open -= 1;
      if (call.ended.length < mostSpans || spanId === call.rootId) call.ended.push(span);
      if (call.open > 0) return;
      calls.delete(call.rootId);
      send(transactionOf(call));
    },
    async forceFlush() {},
    async shutdown() {
      calls.clear();
      callOf.clear();
    },
  };
}

function transactionOf({ rootId, ended }: Collected): TransactionEvent {
  const root = ended.find((span) => span.spanContext().spanId === rootId)!;
  const { attributes } = root;
  const { trace_id, span_id, parent_span_id, op, status, data } = spanOf(root);
  const tags = {
    door: attributes["tribe.door"],
    request_id: attributes["tribe.request.id"],
    run_id: attributes["tribe.run.id"],
  };
  const userId = attributes["enduser.id"];
  return {
    type: "transaction",
    transaction: root.name,
    transaction_info: { source: "route" },
    start_timestamp: secondsOf(root.startTime),
    // A turn may end after its call.
    timestamp: Math.max(...ended.map(({ endTime }) => secondsOf(endTime))),
    contexts: {
      trace: {
        trace_id,
        span_id,
        ...(parent_span_id !== undefined && { parent_span_id }),
        ...(op !== undefined && { op }),
        status,
        data,
        origin: "manual",
      },
    },
    tags: Object.fromEntries(
      Object.entries(tags).flatMap(([name, value]) => (value ? [[name, String(value)]] : [])),
    ),
    ...(typeof userId === "string" && { user: { id: userId } }),
    spans: ended.filter((span) => span !== root).map(spanOf),
  };
}

function spanOf(span: ReadableSpan): SpanJSON {
  const { spanId, traceId } = span.spanContext();
  const parent = span.parentSpanContext?.spanId;
  return {
    span_id: spanId,
    trace_id: traceId,
    ...(parent !== undefined && { parent_span_id: parent }),
    start_timestamp: secondsOf(span.startTime),
    timestamp: secondsOf(span.endTime),
    description: span.name,
    op: operationOf(span),
    status: statusOf(span),
    data: Object.fromEntries(
      Object.entries(span.attributes).filter(([name]) => !contentAttributes.has(name)),
    ) as SpanJSON["data"],
    origin: "manual",
  };
}

/** https://develop.sentry.dev/sdk/telemetry/traces/span-operations/ */
function operationOf({ attributes }: ReadableSpan): string {
  if (attributes["rpc.method"] !== undefined) return "rpc.server";
  if (attributes["gen_ai.operation.name"] !== undefined) return "gen_ai.chat";
  const system = attributes["db.system.name"];
  if (system === undefined) return "function";
  return system === "redis" ? "db.redis" : "db";
}

/** Sentry has the names of gRPC's codes, but for two. */
const otherStatuses: Readonly<Record<string, string>> = {
  INTERNAL: "internal_error",
  UNKNOWN: "unknown_error",
};

function statusOf({ attributes, status }: ReadableSpan): string {
  const code = attributes["rpc.response.status_code"];
  if (typeof code === "string") return otherStatuses[code] ?? code.toLowerCase();
  return status.code === SpanStatusCode.ERROR ? "internal_error" : "ok";
}

function secondsOf([seconds, nanoseconds]: ReadableSpan["startTime"]): number {
  return seconds + nanoseconds / 1e9;
}
