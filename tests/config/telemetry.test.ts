import { expect, it } from "vitest";
import { ConfigError, readConfig } from "../../src/config.ts";

function faultOf(environment: Record<string, string>): string {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults.join("\n");
    throw error;
  }
  return "";
}

it("traces a hundredth of the calls, without content, and tells providers nothing", () => {
  expect(readConfig({}).telemetry).toMatchObject({
    sentryDsn: undefined,
    otlpEndpoint: undefined,
    traceRatio: 0.01,
    traceContent: false,
    traceProviders: false,
    sentryTraces: false,
  });
});

it.each([
  ["0", 0],
  ["1", 1],
  ["0.25", 0.25],
  [".5", 0.5],
])("takes %s for a part", (text, traceRatio) => {
  expect(readConfig({ OTEL_TRACES_SAMPLER_ARG: text }).telemetry).toMatchObject({ traceRatio });
});

it.each(["2", "-1", "1.1", "ten", "1e-3"])("refuses %s for a part", (text) => {
  expect(faultOf({ OTEL_TRACES_SAMPLER_ARG: text })).toContain("a number from 0 to 1");
});

it("refuses what is no DSN, and Sentry's traces without one", () => {
  for (const dsn of ["https://sentry.example.com/1", "https://key@sentry.example.com"])
    expect(faultOf({ SENTRY_DSN: dsn })).toContain("SENTRY_DSN must be https://");
  expect(faultOf({ SENTRY_TRACES: "on" })).toBe("SENTRY_TRACES needs SENTRY_DSN");
});

it("pauses before it drains in production, has reflection unless told otherwise", () => {
  expect(readConfig({})).toMatchObject({ shutdownPauseMs: 0, grpc: { reflection: true } });
  const given = readConfig({ SHUTDOWN_PAUSE: "7", GRPC_REFLECTION: "off" });
  expect(given).toMatchObject({ shutdownPauseMs: 7000, grpc: { reflection: false } });
});
