/** Alert rules and dashboards: right by promtool, about metrics that exist, and explained. */
import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { dashboardJson, dashboards } from "../../deploy/observability/dashboards.ts";
import { makeFolder } from "../support/folder.ts";
import { scrape, type Scrape } from "../support/scrape.ts";
import { startServedApp, type ServedApp } from "../support/served-app.ts";

const root = join(import.meta.dirname, "../..");
const folder = join(root, "deploy/observability");
const read = (...path: string[]) => readFileSync(join(root, ...path), "utf8");
const alerts = read("deploy/observability/alerts.yml");
const alertNames = [...alerts.matchAll(/- alert: (\w+)/g)].map(([, name]) => name!);

function promtool(...args: string[]) {
  const { status, stdout, stderr } = spawnSync("promtool", args, { encoding: "utf8" });
  return { status, output: stdout + stderr };
}

let app: ServedApp;
let found: Scrape;
beforeAll(async () => {
  app = await startServedApp();
  found = await scrape(app.metricsUrl);
});
afterAll(() => app?.close());

/** Names of metrics in PromQL, without those of labels. */
function metricsOf(promql: string): string[] {
  const bare = promql
    .replace(/"[^"]*"/g, "")
    .replace(/\{[^}]*\}/g, "")
    .replace(/\b(?:by|on|without|ignoring|group_left|group_right) \([^)]*\)/g, "");
  return bare.match(/\b(?:tribe|rpc|gen_ai|db|process|nodejs|system)_\w+\b/g) ?? [];
}
/** The name under which a scrape declares the metric of a series. */
function isDeclared(name: string): boolean {
  const family = name.replace(/_(?:bucket|sum|count)$/, "");
  return new RegExp(`^# TYPE (?:${name}|${family}) `, "m").test(found.text);
}
const queries = dashboards.flatMap(({ graphs }) =>
  graphs.flatMap((graph) => Object.values(graph.queries)),
);

test("promtool accepts the configuration and the rules", () => {
  expect(promtool("check", "config", join(folder, "prometheus.yml"))).toMatchObject({ status: 0 });
});

test("each alert fires when it must and is quiet otherwise", () => {
  const tests = read("deploy/observability/alerts.test.yml");
  for (const name of alertNames) {
    expect(tests).toContain(`- name: ${name} fires\n`);
    expect(tests).toContain(`- name: ${name} is quiet\n`);
  }
  const { status, output } = promtool("test", "rules", join(folder, "alerts.test.yml"));
  expect(output).not.toContain("FAILED");
  expect(status).toBe(0);
});

test("every metric of the rules exists in a service that has served calls", () => {
  const names = [
    ...alerts.matchAll(/expr: (?:>-\n)?((?:.|\n)*?)\n\s+(?:for|labels|- record|- alert):/g),
  ].flatMap(([, expression]) => metricsOf(expression!));
  expect(new Set(names).size).toBeGreaterThan(20);
  expect(names.filter((name) => !isDeclared(name))).toEqual([]);
});

test("every metric of the dashboards exists in a service that has served calls", () => {
  const names = queries.flatMap(metricsOf);
  expect(new Set(names).size).toBeGreaterThan(30);
  expect(names.filter((name) => !isDeclared(name))).toEqual([]);
});

test("the queries of the dashboards are right, and ask for labels that are there", () => {
  const temporary = makeFolder();
  const rules = queries.map((query, index) => ({
    record: `query:${index}`,
    expr: query
      .replaceAll("$__rate_interval", "1m")
      .replaceAll("$__range", "1h")
      .replaceAll("$instance", ".*"),
  }));
  const file = join(temporary.path, "rules.yml");
  // JSON is YAML.
  writeFileSync(file, JSON.stringify({ groups: [{ name: "dashboards", rules }] }));
  const { status, output } = promtool("check", "rules", file);
  temporary.remove();
  expect(output).toContain(`${queries.length} rules found`);
  expect(status).toBe(0);

  // What has counted nothing yet has no labels to look at.
  const later = new Set([
    "tribe_budget_refusals_total",
    "tribe_limits_rejections_total",
    "tribe_postgres_replica_lag_seconds",
  ]);
  const missing = queries.flatMap((query) => {
    const [name] = metricsOf(query);
    if (name === undefined || later.has(name)) return [];
    const labels = query.match(/\bby \(([^)]*)\)/)?.[1]?.split(", ") ?? [];
    const line = found.text.split("\n").find((text) => text.startsWith(`${name}{`)) ?? "";
    const given = new Set([
      "instance",
      ...line.matchAll(/[{,](\w+)="/g).map(([, label]) => label!),
    ]);
    return labels.filter((label) => !given.has(label)).map((label) => `${name}: ${label}`);
  });
  expect(missing).toEqual([]);
});

test("the committed dashboards are those that are written, and Grafana can tell them apart", () => {
  for (const dashboard of dashboards) {
    const path = `deploy/observability/grafana/dashboards/${dashboard.uid}.json`;
    expect(read(path)).toBe(dashboardJson(dashboard));
    const { panels } = JSON.parse(read(path)) as { panels: Record<string, unknown>[] };
    for (const panel of panels) {
      expect(panel["title"] && panel["description"]).toBeTruthy();
      expect(panel).toMatchObject({ fieldConfig: { defaults: { unit: expect.any(String) } } });
    }
  }
  expect(new Set(dashboards.map(({ uid }) => uid)).size).toBe(dashboards.length);
});

test("docs/operations.md says of each alert what it means, where to look and what to do", () => {
  const operations = read("docs/operations.md");
  const sections = new Map(
    operations.split(/^### /m).map((section) => [section.split("\n", 1)[0]!, section]),
  );
  for (const name of alertNames) {
    expect(alerts).toContain(`runbook: docs/operations.md#${name.toLowerCase()}\n`);
    const section = sections.get(name) ?? "";
    expect(section).toMatch(/\*\*Means\.\*\* .+/);
    expect(section).toMatch(/\*\*Look\.\*\* .+/);
    expect(section).toMatch(/\*\*Do\.\*\* .+/);
  }
  const explained = [...sections.keys()].filter((title) => title.startsWith("Tribe"));
  expect(explained.sort()).toEqual([...alertNames].sort());
});

test("docs/operations.md lists every metric that the service has", () => {
  const operations = read("docs/operations.md");
  const names = [...found.text.matchAll(/^# TYPE (\S+) /gm)].map(([, name]) => name!);
  expect(names.filter((name) => !operations.includes(`\`${name}\``))).toEqual([]);
});
