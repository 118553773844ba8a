/**
 * OpenTelemetry's SDK behind our spans. Loaded only when traces go somewhere. Nothing is
 * instrumented by itself, and nothing is registered globally: what is sampled was decided
 * before a span is asked for.
 */
import { randomUUID } from "node:crypto";
import {
  type Context,
  createTraceState,
  ROOT_CONTEXT,
  SpanKind,
  type Span as OtelSpan,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  AlwaysOnSampler,
  BatchSpanProcessor,
  type SpanProcessor,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { Span, SpanAttributes } from "./span.ts";
import type { SpanSource } from "./tracing.ts";

export interface OtelOptions {
  /** Takes traces by OTLP over HTTP: the whole URL, `…/v1/traces`. */
  collectorUrl: string | undefined;
  /** Who else gets the spans. Default: nobody. */
  processors?: readonly SpanProcessor[];
  serviceName: string;
  version: string;
  recordsContent: boolean;
  /** Whether providers are told of the trace. */
  tellsProviders: boolean;
  /** From one sending to the next, in milliseconds. Default: 5,000. */
  intervalMs?: number;
}

/** What a message may take of a span, in characters. */
const longestAttribute = 64 * 1024;

/** Makes the source of spans; sends in batches, and drops what a collector does not take in time. */
export function createOtel(options: OtelOptions): SpanSource {
  const { recordsContent, tellsProviders, intervalMs = 5_000 } = options;
  const collector = options.collectorUrl && createCollector(options.collectorUrl, intervalMs);
  const provider = new TracerProvider({
    sampler: new AlwaysOnSampler(),
    spanLimits: { attributeValueLengthLimit: longestAttribute },
    resource: resourceFromAttributes({
      "service.name": options.serviceName,
      "service.version": options.version,
      "service.instance.id": randomUUID(),
    }),
    spanProcessors: [...(collector ? [collector] : []), ...(options.processors ?? [])],
  });
  const tracer: Tracer = provider.getTracer("tribe", options.version);

  function start(name: string, kind: SpanKind, attributes: SpanAttributes, parent: Context): Span {
    const span = tracer.startSpan(name, { kind, attributes: defined(attributes) }, parent);
    return wrap(span, trace.setSpan(parent, span));
  }

  function wrap(span: OtelSpan, context: Context): Span {
    const { traceId, spanId, traceFlags, traceState } = span.spanContext();
    let isEnded = false;
    return {
      traceId,
      spanId,
      recordsContent,
      get providerHeaders() {
        if (!tellsProviders) return undefined;
        const flags = traceFlags.toString(16).padStart(2, "0");
        const headers = ["traceparent", `00-${traceId}-${spanId}-${flags}`];
        const state = traceState?.serialize();
        if (state) headers.push("tracestate", state);
        return headers;
      },
      get isEnded() {
        return isEnded;
      },
      child: (name, kind, attributes = {}) =>
        start(name, kind === "client" ? SpanKind.CLIENT : SpanKind.INTERNAL, attributes, context),
      set(attributes) {
        span.setAttributes(defined(attributes));
      },
      end(errorType) {
        if (isEnded) return;
        isEnded = true;
        if (errorType !== undefined) {
          span.setAttribute("error.type", errorType);
          span.setStatus({ code: SpanStatusCode.ERROR, message: errorType });
        }
        span.end();
      },
    };
  }

  return {
    startRoot(name, attributes, parent) {
      if (parent === undefined) return start(name, SpanKind.SERVER, attributes, ROOT_CONTEXT);
      const { remote, state } = parent;
      const context = trace.setSpanContext(ROOT_CONTEXT, {
        traceId: remote.traceId,
        spanId: remote.spanId,
        traceFlags: TraceFlags.SAMPLED,
        isRemote: true,
        ...(state !== null && { traceState: createTraceState(state) }),
      });
      return start(name, SpanKind.SERVER, attributes, context);
    },
    async close(limitMs) {
      let timer: NodeJS.Timeout | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, limitMs);
      });
      // A collector that is away must not keep a process from ending, nor fail it.
      const closed = provider.shutdown().catch(() => undefined);
      await Promise.race([closed, late]);
      clearTimeout(timer);
    },
  };
}

function createCollector(url: string, intervalMs: number): SpanProcessor {
  const exporter = new OTLPTraceExporter({ url, timeoutMillis: 5_000 });
  return new BatchSpanProcessor({ exporter, scheduledDelayMillis: intervalMs });
}

function defined(attributes: SpanAttributes) {
  const result: Record<string, string | number | boolean | string[]> = {};
  for (const name in attributes) {
    const value = attributes[name];
    if (value === undefined) continue;
    result[name] = typeof value === "object" ? [...value] : value;
  }
  return result;
}
