/** A server that takes Sentry's envelopes. https://develop.sentry.dev/sdk/data-model/envelopes/ */
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** An event, as far as the tests look at it. */
export interface SentryEvent {
  release: string;
  environment: string;
  tags: Record<string, string>;
  user?: Record<string, unknown>;
  contexts?: { trace?: { trace_id: string } };
  exception: {
    values: { type: string; value: string; stacktrace: { frames: { filename: string }[] } }[];
  };
}

/** A recorded call, as far as the tests look at it. */
export interface SentryTransaction {
  release: string;
  environment: string;
  transaction: string;
  start_timestamp: number;
  timestamp: number;
  tags: Record<string, string>;
  user?: Record<string, unknown>;
  contexts: {
    trace: {
      trace_id: string;
      span_id: string;
      parent_span_id?: string;
      op: string;
      status: string;
      data: Record<string, unknown>;
    };
  };
  spans: {
    span_id: string;
    parent_span_id: string;
    description: string;
    op: string;
    status: string;
    start_timestamp: number;
    timestamp: number;
    data: Record<string, unknown>;
  }[];
}

export interface SentrySink {
  /** What SENTRY_DSN is. */
  dsn: string;
  readonly events: SentryEvent[];
  readonly transactions: SentryTransaction[];
  /** Paths that were asked for. */
  readonly paths: string[];
  /** All that was received, headers too. */
  raw(): string;
  close(): Promise<void>;
}

export async function startSentrySink(): Promise<SentrySink> {
  const events: SentryEvent[] = [];
  const transactions: SentryTransaction[] = [];
  const paths: string[] = [];
  let raw = "";
  const server = createServer(async (request, response) => {
    const body = await text(request);
    raw += JSON.stringify(request.headers) + body;
    paths.push(new URL(request.url ?? "", "http://sink").pathname);
    const lines = body.split("\n");
    for (let index = 1; index + 1 < lines.length; index += 2) {
      const { type } = JSON.parse(lines[index]!) as { type: string };
      const item: unknown = JSON.parse(lines[index + 1]!);
      if (type === "event") events.push(item as SentryEvent);
      if (type === "transaction") transactions.push(item as SentryTransaction);
    }
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    dsn: `http://publickey@127.0.0.1:${(server.address() as AddressInfo).port}/42`,
    events,
    transactions,
    paths,
    raw: () => raw,
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, "close");
    },
  };
}
