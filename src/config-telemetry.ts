import type { ConfigReader } from "./config-reader.ts";

/** What is told of the service, and to whom. */
export interface TelemetryConfig {
  /** Where errors go that nobody expected. */
  readonly sentryDsn: string | undefined;
  /** Whether Sentry gets the traces, too. */
  readonly sentryTraces: boolean;
  /** `production` and the like: how Sentry groups instances. */
  readonly environment: string;
  /** OpenTelemetry collector. */
  readonly otlpEndpoint: string | undefined;
  readonly serviceName: string;
  /** Part of the traces that begin here, 0 to 1. */
  readonly traceRatio: number;
  /** Whether traces hold what people and models say. */
  readonly traceContent: boolean;
  /** Whether providers are told of traces. */
  readonly traceProviders: boolean;
}

/** Reads it, and collects faults in the reader. */
export function readTelemetryConfig(reader: ConfigReader, environment: string): TelemetryConfig {
  const schemes = ["https", "http"];
  const sentryDsn = reader.url("SENTRY_DSN", schemes);
  const sentryTraces = reader.choice("SENTRY_TRACES", ["on", "off"]) === "on";
  if (sentryDsn !== undefined && !isDsn(sentryDsn))
    reader.fault("SENTRY_DSN", "must be https://<public key>@<host>/<project number>");
  if (sentryTraces && reader.text("SENTRY_DSN") === undefined)
    reader.fault("SENTRY_TRACES", "needs SENTRY_DSN");
  return {
    sentryDsn,
    sentryTraces,
    environment,
    otlpEndpoint: reader.url("OTEL_EXPORTER_OTLP_ENDPOINT", schemes),
    serviceName: reader.text("OTEL_SERVICE_NAME") ?? "tribe",
    traceRatio: readRatio(reader) ?? 0.01,
    traceContent: reader.choice("TRACE_CONTENT", ["on", "off"]) === "on",
    traceProviders: reader.choice("TRACE_PROVIDERS", ["on", "off"]) === "on",
  };
}

function isDsn(text: string): boolean {
  const { username, pathname } = new URL(text);
  return /^\w+$/.test(username) && /\/\d+$/.test(pathname);
}

function readRatio(reader: ConfigReader): number | undefined {
  const text = reader.text("OTEL_TRACES_SAMPLER_ARG");
  if (text === undefined) return undefined;
  const ratio = /^\d?(\.\d{1,9})?$/.test(text) ? Number(text) : Number.NaN;
  if (ratio >= 0 && ratio <= 1) return ratio;
  reader.fault("OTEL_TRACES_SAMPLER_ARG", "must be a number from 0 to 1, for example 0.01");
  return undefined;
}
