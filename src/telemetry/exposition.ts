/**
 * Metrics as text: Prometheus' own format and OpenMetrics.
 * https://prometheus.io/docs/instrumenting/exposition_formats/
 * https://prometheus.io/docs/specs/om/open_metrics_spec/
 */
import type { MetricReading } from "./metrics.ts";

/** A text format of metrics. */
export type MetricsFormat = "prometheus" | "openmetrics";

/** What a scraper is told that it gets. */
export const contentTypes: Readonly<Record<MetricsFormat, string>> = {
  prometheus: "text/plain; version=0.0.4; charset=utf-8",
  openmetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8",
};

/** The format that an `Accept` header prefers; Prometheus' own when it says nothing of either. */
export function chooseFormat(accept: string | undefined): MetricsFormat {
  let best: { format: MetricsFormat; quality: number } = { format: "prometheus", quality: 0 };
  for (const range of (accept ?? "").toLowerCase().split(",")) {
    const [type = "", ...parameters] = range.split(";").map((part) => part.trim());
    const isOpenMetrics = type === "application/openmetrics-text";
    if (!isOpenMetrics && !["text/plain", "text/*", "*/*"].includes(type)) continue;
    const q = parameters.find((parameter) => parameter.startsWith("q="));
    const quality = q === undefined ? 1 : Number(q.slice(2));
    // What is preferred equally stays with what was named first.
    if (quality > best.quality) {
      best = { format: isOpenMetrics ? "openmetrics" : "prometheus", quality };
    }
  }
  return best.format;
}

/** Writes metrics down. */
export function writeMetrics(readings: readonly MetricReading[], format: MetricsFormat): string {
  const openMetrics = format === "openmetrics";
  const lines: string[] = [];
  for (const { name, type, help, samples } of readings) {
    const named = type === "counter" && !openMetrics ? `${name}_total` : name;
    lines.push(`# HELP ${named} ${escapeHelp(help)}`, `# TYPE ${named} ${type}`);
    for (const { suffix, labels, value } of samples) {
      const braces = labels === "" ? "" : `{${labels}}`;
      lines.push(`${name}${suffix}${braces} ${numberText(value)}`);
    }
  }
  if (openMetrics) lines.push("# EOF");
  return `${lines.join("\n")}\n`;
}

function escapeHelp(help: string): string {
  return help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', "'");
}

function numberText(value: number): string {
  if (Number.isFinite(value)) return String(value);
  if (Number.isNaN(value)) return "NaN";
  return value > 0 ? "+Inf" : "-Inf";
}
