/**
 * Sends unexpected errors to Sentry, and traces where the operator wants that. Loaded only when
 * there is a DSN. Built on Sentry's core alone: nothing is patched or collected by itself, and the
 * spans are OpenTelemetry's.
 *
 * What an error says may be what somebody asked, or a secret; no pattern finds all of that. So
 * its words stay in the log, where the request id leads, and Sentry gets its class, its code and
 * where in the program it happened.
 */
import {
  createStackParser,
  createTransport,
  type ErrorEvent,
  type Exception,
  type StackFrame,
  type TransactionEvent,
} from "@sentry/core";
import { nodeStackLineParser, ServerRuntimeClient } from "@sentry/core/server";
import type { ErrorReport, ReportError } from "./error-report.ts";

export interface SentryOptions {
  dsn: string;
  /** Version of Tribe. */
  version: string;
  environment: string;
}

/** Reports that go to Sentry. */
export interface Sentry {
  report: ReportError;
  /** Sends a recorded call. `ratio`: part of the calls that are, by which Sentry reckons up. */
  transaction(event: TransactionEvent, ratio: number): void;
  /** Sends what has not been sent, within `limitMs`. */
  close(limitMs: number): Promise<void>;
}

const requestTimeoutMs = 5_000;
/** A bug on a busy path must not become a flood. */
const mostPerMinute = 60;
const mostCauses = 5;

/** Connects to the project of the DSN. */
export function createSentry({ dsn, version, environment }: SentryOptions): Sentry {
  const release = `tribe@${version}`;
  const publicKey = new URL(dsn).username;
  const parseStack = createStackParser(nodeStackLineParser());
  const client = new ServerRuntimeClient({
    dsn,
    release,
    environment,
    integrations: [],
    stackParser: parseStack,
    // No requests, bodies, cookies or addresses: nothing is collected.
    sendClientReports: false,
    transport: (options) =>
      createTransport(options, async ({ body }) => {
        const response = await fetch(options.url, {
          method: "POST",
          body: body as string,
          headers: { ...options.headers },
          signal: AbortSignal.timeout(requestTimeoutMs),
        });
        await response.arrayBuffer();
        const { headers, status } = response;
        return {
          statusCode: status,
          headers: {
            "x-sentry-rate-limits": headers.get("x-sentry-rate-limits"),
            "retry-after": headers.get("retry-after"),
          },
        };
      }),
  });
  client.init();

  /** A turn's failure comes by its run and by its call. */
  const reported = new WeakSet<object>();
  let minute = 0;
  let count = 0;

  function isNew(error: unknown): boolean {
    if (typeof error !== "object" || error === null) return true;
    if (reported.has(error)) return false;
    reported.add(error);
    return true;
  }
  function isTooMany(): boolean {
    const now = Math.floor(performance.now() / 60_000);
    if (now !== minute) count = 0;
    minute = now;
    count += 1;
    return count > mostPerMinute;
  }

  return {
    report(report) {
      if (!isNew(report.error) || isTooMany()) return;
      client.captureEvent(eventOf(report, (stack) => parseStack(stack)));
    },
    transaction(event, ratio) {
      // https://develop.sentry.dev/sdk/telemetry/traces/dynamic-sampling-context/
      const dynamicSamplingContext = {
        trace_id: event.contexts?.trace?.trace_id ?? "",
        public_key: publicKey,
        sampled: "true",
        sample_rate: String(ratio),
        transaction: event.transaction ?? "",
        release,
        environment,
      };
      client.captureEvent({ ...event, sdkProcessingMetadata: { dynamicSamplingContext } });
    },
    async close(limitMs) {
      await client.close(limitMs);
    },
  };
}

function eventOf(report: ErrorReport, parse: (stack: string) => StackFrame[]): ErrorEvent {
  const { where, door, requestId, runId, userId, traceId } = report;
  const tags: Record<string, string> = { where };
  if (door !== undefined) tags["door"] = door;
  if (requestId !== undefined) tags["request_id"] = requestId;
  if (runId !== undefined) tags["run_id"] = runId;
  return {
    type: undefined,
    level: "error",
    transaction: where,
    tags,
    ...(userId !== undefined && { user: { id: userId } }),
    ...(traceId !== undefined && {
      contexts: { trace: { trace_id: traceId, span_id: traceId.slice(16) } },
    }),
    exception: { values: exceptionsOf(report.error, parse) },
  };
}

/** The error and its causes, the innermost first, as Sentry has them. */
function exceptionsOf(error: unknown, parse: (stack: string) => StackFrame[]): Exception[] {
  const exceptions: Exception[] = [];
  let next = error;
  while (next instanceof Error && exceptions.length < mostCauses) {
    const { name, cause } = next;
    exceptions.unshift({
      type: /^\w{1,64}$/.test(name) ? name : "Error",
      value: codeOf(next),
      stacktrace: { frames: parse(stackOf(next)) },
    });
    next = cause;
  }
  return exceptions.length > 0 ? exceptions : [{ type: typeof error, value: "not an Error" }];
}

/** `ECONNRESET`, `23505`, `INTERNAL`: never more than a word. */
function codeOf(error: Error): string {
  const { code } = error as { code?: unknown };
  return typeof code === "string" && /^[A-Z0-9_]{1,64}$/.test(code) ? code : "see the log";
}

/** Its frames alone: the message stands in front of them, and might look like one. */
function stackOf({ stack = "", message }: Error): string {
  const begin = message === "" ? 0 : stack.indexOf(message);
  return begin < 0 ? "" : stack.slice(begin + message.length);
}
