/** Traces and error reports of one process, as far as they are configured. */
import type { TelemetryConfig } from "../config.ts";
import type { ReportError } from "./error-report.ts";
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
  const { sentryDsn: dsn, environment, otlpEndpoint, traceRatio } = config;
  const sentry =
    dsn === undefined
      ? undefined
      : (await import("./sentry.ts")).createSentry({ dsn, version, environment });
  const transactions =
    config.sentryTraces && sentry
      ? (await import("./sentry-transactions.ts")).createTransactions((event) =>
          sentry.transaction(event, traceRatio),
        )
      : undefined;
  const source =
    otlpEndpoint === undefined && transactions === undefined
      ? undefined
      : (await import("./otel.ts")).createOtel({
          collectorUrl: otlpEndpoint && `${otlpEndpoint.replace(/\/+$/, "")}/v1/traces`,
          processors: transactions ? [transactions] : [],
          serviceName: config.serviceName,
          version,
          recordsContent: config.traceContent,
          tellsProviders: config.traceProviders,
        });
  return {
    trace: createTracing({ source, ratio: traceRatio }),
    report: sentry?.report,
    async close(limitMs) {
      await Promise.all([source?.close(limitMs), sentry?.close(limitMs)]);
    },
  };
}
