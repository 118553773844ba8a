/** A server that takes traces by OTLP over HTTP, as a collector does. */
import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** A span as it was sent. */
export interface ReceivedSpan {
  traceId: string;
  spanId: string;
  parentSpanId: string | undefined;
  name: string;
  /** 1: internal, 2: server, 3: client. */
  kind: number;
  attributes: Record<string, unknown>;
  /** 2: an error. */
  status: number;
  resource: Record<string, unknown>;
}

export interface OtlpSink {
  /** What OTEL_EXPORTER_OTLP_ENDPOINT is. */
  url: string;
  /** Those of a trace, in the order in which they came. */
  trace(traceId: string): ReceivedSpan[];
  readonly spans: ReceivedSpan[];
  /** Path and headers of every request. */
  readonly requests: { path: string; headers: IncomingHttpHeaders }[];
  /** All that was received. */
  raw(): string;
  close(): Promise<void>;
}

interface KeyValue {
  key: string;
  value: Record<string, unknown>;
}

export async function startOtlpSink(): Promise<OtlpSink> {
  const spans: ReceivedSpan[] = [];
  const requests: OtlpSink["requests"] = [];
  let raw = "";
  const server = createServer(async (request, response) => {
    const body = await text(request);
    requests.push({ path: request.url ?? "", headers: request.headers });
    raw += body;
    for (const { resource, scopeSpans } of JSON.parse(body).resourceSpans) {
      for (const span of scopeSpans.flatMap(({ spans }: { spans: unknown[] }) => spans)) {
        spans.push({
          traceId: span.traceId,
          spanId: span.spanId,
          parentSpanId: span.parentSpanId,
          name: span.name,
          kind: span.kind,
          attributes: plain(span.attributes),
          status: span.status?.code ?? 0,
          resource: plain(resource.attributes),
        });
      }
    }
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    requests,
    trace: (traceId) => spans.filter((span) => span.traceId === traceId),
    raw: () => raw,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}

function plain(attributes: KeyValue[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, plainValue(value)]));
}

function plainValue(value: Record<string, unknown>): unknown {
  const { arrayValue } = value as { arrayValue?: { values: Record<string, unknown>[] } };
  if (arrayValue) return arrayValue.values.map(plainValue);
  const [only] = Object.values(value);
  return "intValue" in value ? Number(only) : only;
}
