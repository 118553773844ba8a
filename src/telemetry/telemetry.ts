/** Traces and error reports of one process, as far as they are configured. */
import type { TelemetryConfig } from "../config.ts";
import type { ReportError } from "./error-report.ts";
import type { TraceDestination } from "./otel.ts";
import { createTracing, type TraceCall } from "./tracing.ts";

/** What the service tells of itself beside its log. */
export interface Telemetry {
  /** Begins every call. */
  readonly trace: TraceCall;
  /** Takes errors that nobody expected; undefined: they are in the log only. */
  readonly report: ReportError | undefined;
  /** Sends what has not been sent, within `limitMs`. */
  close(limitMs: number): Promise<void>;
}

/** Loads what the configuration asks for, and nothing else. */
export async function createTelemetry(
  config: TelemetryConfig,
  version: string,
): Promise<Telemetry> {
  const destinations = destinationsOf(config);
  const source =
    destinations.length === 0
      ? undefined
      : (await import("./otel.ts")).createOtel({
          destinations,
          serviceName: config.serviceName,
          version,
          recordsContent: config.traceContent,
          tellsProviders: config.traceProviders,
        });
  const { sentryDsn: dsn, environment } = config;
  const sentry =
    dsn === undefined
      ? undefined
      : (await import("./sentry.ts")).createSentry({ dsn, version, environment });
  return {
    trace: createTracing({ source, ratio: config.traceRatio }),
    report: sentry?.report,
    async close(limitMs) {
      await Promise.all([source?.close(limitMs), sentry?.close(limitMs)]);
    },
  };
}

function destinationsOf(config: TelemetryConfig): TraceDestination[] {
  const { otlpEndpoint, sentryDsn, sentryTraces } = config;
  const destinations: TraceDestination[] = [];
  if (otlpEndpoint !== undefined) {
    destinations.push({ url: `${otlpEndpoint.replace(/\/+$/, "")}/v1/traces` });
  }
  if (sentryTraces && sentryDsn !== undefined) destinations.push(sentryTracesOf(sentryDsn));
  return destinations;
}

/** https://docs.sentry.io/concepts/otlp/ */
function sentryTracesOf(dsn: string): TraceDestination {
  const { origin, username, pathname } = new URL(dsn);
  const [, folder = "", project = ""] = /^(.*)\/(\d+)$/.exec(pathname) ?? [];
  return {
    url: `${origin}${folder}/api/${project}/integration/otlp/v1/traces`,
    headers: { "x-sentry-auth": `sentry sentry_key=${username}` },
  };
}
