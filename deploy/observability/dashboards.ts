/**
 * Writes the Grafana dashboards: `node deploy/observability/dashboards.ts`. What they show is said
 * in ./dashboards, once; the JSON beside the provisioning is what Grafana reads.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Dashboard, Graph } from "./dashboards/graph.ts";
import { machineDashboard } from "./dashboards/machine.ts";
import { modelsDashboard } from "./dashboards/models.ts";
import { serviceDashboard } from "./dashboards/service.ts";

/** All dashboards. */
export const dashboards: readonly Dashboard[] = [
  serviceDashboard,
  modelsDashboard,
  machineDashboard,
];

const width = 12;
const height = 9;
const datasource = { type: "prometheus", uid: "${datasource}" };

/** Where an axis ends at least, lest it shows 10,000 % around a line of zeros. */
const softMax: Readonly<Record<string, number>> = { reqps: 0.1, percentunit: 0.1 };

function panelOf({ title, unit, description, none, queries }: Graph, index: number) {
  const axisSoftMax = softMax[unit];
  return {
    id: index + 1,
    type: "timeseries",
    title,
    description,
    datasource,
    gridPos: { x: (index % 2) * width, y: Math.floor(index / 2) * height, w: width, h: height },
    fieldConfig: {
      defaults: { unit, min: 0, noValue: none, custom: { fillOpacity: 10, axisSoftMax } },
      overrides: [],
    },
    options: {
      // The largest first: the legend has room for a few.
      legend: {
        displayMode: "table",
        placement: "bottom",
        calcs: ["lastNotNull", "max"],
        sortBy: "Max",
        sortDesc: true,
      },
      tooltip: { mode: "multi", sort: "desc" },
    },
    targets: Object.entries(queries).map(([legendFormat, expr], query) => ({
      refId: String.fromCodePoint(65 + query),
      datasource,
      expr,
      legendFormat,
    })),
  };
}

/** A dashboard as Grafana reads it. */
export function dashboardJson({ uid, title, graphs }: Dashboard): string {
  const variables = [
    { name: "datasource", label: "Data source", type: "datasource", query: "prometheus" },
    {
      name: "instance",
      label: "Instance",
      type: "query",
      datasource,
      query: { query: "label_values(tribe_build_info, instance)", refId: "instance" },
      refresh: 2,
      includeAll: true,
      multi: true,
      allValue: ".*",
      current: { text: "All", value: "$__all" },
    },
  ];
  const dashboard = {
    uid,
    title,
    tags: ["tribe"],
    schemaVersion: 41,
    editable: true,
    refresh: "30s",
    time: { from: "now-1h", to: "now" },
    templating: { list: variables },
    panels: graphs.map(panelOf),
  };
  return `${JSON.stringify(dashboard, null, 2)}\n`;
}

if (import.meta.main) {
  const folder = join(import.meta.dirname, "grafana/dashboards");
  mkdirSync(folder, { recursive: true });
  for (const dashboard of dashboards) {
    writeFileSync(join(folder, `${dashboard.uid}.json`), dashboardJson(dashboard));
  }
}
