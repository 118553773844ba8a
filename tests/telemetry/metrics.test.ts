import { expect, test } from "vitest";
import { chooseFormat, writeMetrics } from "../../src/telemetry/exposition.ts";
import { createMetrics } from "../../src/telemetry/metrics.ts";

test("a family gives the same handle for the same labels", () => {
  const calls = createMetrics().counter("calls", "Calls", ["rpc", "code"]);
  expect(calls.with("Send", "OK")).toBe(calls.with("Send", "OK"));
  expect(calls.with("Send", "OK")).not.toBe(calls.with("Send", "INTERNAL"));
});

test("counters, gauges and histograms in Prometheus' format", async () => {
  const metrics = createMetrics();
  const calls = metrics.counter("tribe_calls", "Calls", ["rpc"]);
  calls.with("Send").add();
  calls.with('a "quoted"\\\n name').add(2.5);
  metrics.counter("tribe_never", "Has counted nothing", ["rpc"]);
  const seconds = metrics.histogram("tribe_seconds", 'How "long"\nit took', [], [0.5, 1, 1e6]);
  for (const value of [0.1, 0.5, 0.7, 5, 2e6]) seconds.with().observe(value);
  metrics.gauge("tribe_open", "Open", ["state"], (report) => {
    report(3, "idle");
    report(Infinity, "used");
  });
  metrics.counterFrom("tribe_sent", "Sent", [], (report) => report(7));
  metrics.counters.counter("tribe_seldom", "Seldom").add({ kind: "spend" });
  expect(writeMetrics(await metrics.read(), "prometheus")).toBe(
    `# HELP tribe_calls_total Calls
# TYPE tribe_calls_total counter
tribe_calls_total{rpc="Send"} 1
tribe_calls_total{rpc="a \\"quoted\\"\\\\\\n name"} 2.5
# HELP tribe_never_total Has counted nothing
# TYPE tribe_never_total counter
# HELP tribe_seconds How 'long'\\nit took
# TYPE tribe_seconds histogram
tribe_seconds_bucket{le="0.5"} 2
tribe_seconds_bucket{le="1.0"} 3
tribe_seconds_bucket{le="1e+06"} 4
tribe_seconds_bucket{le="+Inf"} 5
tribe_seconds_sum 2000006.3
tribe_seconds_count 5
# HELP tribe_open Open
# TYPE tribe_open gauge
tribe_open{state="idle"} 3
tribe_open{state="used"} +Inf
# HELP tribe_sent_total Sent
# TYPE tribe_sent_total counter
tribe_sent_total 7
# HELP tribe_seldom_total Seldom
# TYPE tribe_seldom_total counter
tribe_seldom_total{kind="spend"} 1
`,
  );
});

test("OpenMetrics names families without _total and ends with EOF", async () => {
  const metrics = createMetrics();
  metrics.counter("tribe_calls", "Calls").with().add();
  expect(writeMetrics(await metrics.read(), "openmetrics")).toBe(
    "# HELP tribe_calls Calls\n# TYPE tribe_calls counter\ntribe_calls_total 1\n# EOF\n",
  );
});

test.each([
  [undefined, "prometheus"],
  ["*/*", "prometheus"],
  ["application/json", "prometheus"],
  ["text/plain;version=0.0.4;q=0.5,*/*;q=0.1", "prometheus"],
  ["application/openmetrics-text; version=1.0.0", "openmetrics"],
  // What Prometheus sends.
  [
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
    "openmetrics",
  ],
  ["application/openmetrics-text;q=0.2,text/plain;q=0.9", "prometheus"],
])("Accept %j gets %s", (accept, format) => {
  expect(chooseFormat(accept)).toBe(format);
});

test("a family that has grown too large counts what is new under one name", async () => {
  const metrics = createMetrics();
  const calls = metrics.counter("calls", "Calls", ["rpc", "door"]);
  for (let index = 0; index < 2_500; index += 1) calls.with(`rpc ${index}`, "rest").add();
  calls.with("rpc 0", "rest").add();
  const [reading] = await metrics.read();
  expect(reading?.samples).toHaveLength(2_001);
  expect(reading?.samples[0]).toMatchObject({ labels: 'rpc="rpc 0",door="rest"', value: 2 });
  expect(reading?.samples.at(-1)).toMatchObject({
    labels: 'rpc="_OTHER",door="_OTHER"',
    value: 500,
  });
});

test("two metrics of one name are a mistake", () => {
  const metrics = createMetrics();
  metrics.counter("calls", "Calls");
  expect(() => metrics.counter("calls", "Others")).toThrow("there are two metrics calls");
});
