/**
 * Writes the Grafana dashboards: `node deploy/observability/dashboards.ts`. What they show is said
 * here once; the JSON beside the provisioning is what Grafana reads.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** A graph: its title, its unit as Grafana names units, and its PromQL with their legends. */
interface Graph {
  title: string;
  unit: string;
  description: string;
  /** What is shown while there is nothing to show; else "No data". */
  none?: string;
  queries: Readonly<Record<string, string>>;
}

interface Dashboard {
  uid: string;
  title: string;
  graphs: readonly Graph[];
}

const instance = `instance=~"$instance"`;
const calls = "rpc_server_call_duration_seconds";
/** As the alert TribeCallsFail has it: a probe of a load balancer is no call. */
const noProbe = `rpc_method!~"grpc.health.*|tribe.v1.HealthService/.*"`;
const notWell = `tribe_component_status{${instance},status=~"degraded|down"}`;
const failed = `rpc_response_status_code=~"INTERNAL|UNKNOWN|DATA_LOSS|UNAVAILABLE|DEADLINE_EXCEEDED"`;

function rate(metric: string, by: string, matchers = ""): string {
  return `sum by (${by}) (rate(${metric}{${instance}${matchers && `,${matchers}`}}[$__rate_interval]))`;
}
function quantile(q: number, metric: string, by: string, matchers = ""): string {
  // Not even a number while there was nothing to measure: no line then.
  return `histogram_quantile(${q}, ${rate(`${metric}_bucket`, `le, ${by}`, matchers)}) >= 0`;
}
function gauge(metric: string, aggregation: string): string {
  return `${aggregation} (${metric}{${instance}})`;
}

/** All dashboards. */
export const dashboards: readonly Dashboard[] = [
  {
    uid: "tribe-service",
    title: "Tribe: service",
    graphs: [
      {
        title: "Calls by RPC",
        unit: "reqps",
        description: "Calls that ended, a second",
        queries: { "{{rpc_method}}": rate(`${calls}_count`, "rpc_method") },
      },
      {
        title: "Calls by code",
        unit: "reqps",
        description: "How calls ended; OK is left out",
        none: "All calls ended well",
        queries: {
          "{{rpc_response_status_code}}": rate(
            `${calls}_count`,
            "rpc_response_status_code",
            `rpc_response_status_code!="OK"`,
          ),
        },
      },
      {
        title: "Failed calls",
        unit: "percentunit",
        description: "Share that failed through our fault or that of what we depend on; no probes",
        queries: {
          failed: `(sum(rate(${calls}_count{${instance},${failed},${noProbe}}[$__rate_interval])) or vector(0)) / sum(rate(${calls}_count{${instance},${noProbe}}[$__rate_interval]))`,
        },
      },
      {
        title: "Duration of calls, p99",
        unit: "s",
        description: "One in a hundred calls takes longer",
        queries: { "{{rpc_method}}": quantile(0.99, calls, "rpc_method") },
      },
      {
        title: "Calls by door",
        unit: "reqps",
        description: "Which door callers come through",
        queries: { "{{door}}": rate(`${calls}_count`, "door") },
      },
      {
        title: "Under way",
        unit: "short",
        description: "Calls, runs, and answers that wait for the database",
        queries: {
          calls: gauge("tribe_calls_in_flight", "sum"),
          runs: gauge("tribe_runs_in_flight", "sum"),
          "answers that wait": gauge("tribe_answers_waiting", "sum"),
        },
      },
      {
        title: "Refusals",
        unit: "reqps",
        description: "Calls refused because the process is full, or met a limit or a budget",
        queries: {
          "full: {{rate_class}}": rate("tribe_overload_refusals_total", "rate_class"),
          "limit: {{limit}}": rate("tribe_limits_rejections_total", "limit"),
          "budget: {{reason}}": rate("tribe_budget_refusals_total", "reason"),
        },
      },
      {
        title: "Decisions of the limits",
        unit: "reqps",
        description: "Calls that were taken from the limits of their caller",
        queries: { "{{decision}}": rate("tribe_limits_decisions_total", "decision") },
      },
      {
        title: "Active users",
        unit: "short",
        description: "Different users, at all processes together",
        queries: { "{{window}}": gauge("tribe_active_users", "max by (window)") },
      },
      {
        title: "Parts that are not well",
        unit: "short",
        description: "1 for a part that is degraded or down",
        none: "All parts are well",
        queries: {
          // Whatever was not well at some time: its line goes down to 0 when it is well again.
          "{{component}} {{status}}": `max by (component, status) (${notWell}) and max by (component, status) (max_over_time(${notWell}[$__range])) > 0`,
        },
      },
    ],
  },
  {
    uid: "tribe-models",
    title: "Tribe: models",
    graphs: [
      {
        title: "Runs by state",
        unit: "reqps",
        description: "Runs that ended, a second",
        queries: { "{{model}} {{state}}": rate("tribe_runs_total", "model, state") },
      },
      {
        title: "Time to first token, p50 and p95",
        unit: "s",
        description: "From the beginning of a run to its first content",
        queries: {
          "{{gen_ai_request_model}} p50": quantile(
            0.5,
            "gen_ai_server_time_to_first_token_seconds",
            "gen_ai_request_model",
          ),
          "{{gen_ai_request_model}} p95": quantile(
            0.95,
            "gen_ai_server_time_to_first_token_seconds",
            "gen_ai_request_model",
          ),
        },
      },
      {
        title: "Tokens a second of an answer, p50",
        unit: "short",
        description: "How fast answers are written, after their first token",
        queries: { "{{model}}": quantile(0.5, "tribe_output_tokens_per_second", "model") },
      },
      {
        title: "Time per token of an answer, p95",
        unit: "s",
        description: "After the first token",
        queries: {
          "{{gen_ai_request_model}}": quantile(
            0.95,
            "gen_ai_server_time_per_output_token_seconds",
            "gen_ai_request_model",
          ),
        },
      },
      {
        title: "Duration of runs, p95",
        unit: "s",
        description: "From the beginning of a run to the end of its answer",
        queries: {
          "{{gen_ai_request_model}}": quantile(
            0.95,
            "gen_ai_client_operation_duration_seconds",
            "gen_ai_request_model",
          ),
        },
      },
      {
        title: "Tokens by kind",
        unit: "short",
        description: "Tokens a second; kinds do not overlap",
        queries: { "{{model}} {{kind}}": rate("tribe_tokens_total", "model, kind") },
      },
      {
        title: "Tokens of an answer, p95",
        unit: "short",
        description: "How large questions with their history, and answers, are",
        queries: {
          "{{gen_ai_request_model}} {{gen_ai_token_type}}": quantile(
            0.95,
            "gen_ai_client_token_usage",
            "gen_ai_request_model, gen_ai_token_type",
          ),
        },
      },
      {
        title: "Cost an hour",
        unit: "currencyUSD",
        description: "What runs cost, at the pace of now",
        queries: {
          "{{model}} {{provider}}": `3600 * ${rate("tribe_cost_dollars_total", "model, provider")}`,
        },
      },
      {
        title: "Cost an hour by kind",
        unit: "currencyUSD",
        description: "What the tokens of each kind cost, at the pace of now",
        queries: {
          "{{model}} {{kind}}": `3600 * ${rate("tribe_cost_dollars_total", "model, kind")}`,
        },
      },
      {
        title: "Runs without a price",
        unit: "reqps",
        description: "Runs of models whose price is not known",
        queries: { "{{model}}": rate("tribe_unpriced_runs_total", "model") },
      },
      {
        title: "Cache of answers",
        unit: "reqps",
        description: "Turns by what the cache had for them",
        queries: { "{{status}}": rate("tribe_cache_lookups_total", "status") },
      },
      {
        title: "Calls to deployments that failed",
        unit: "reqps",
        description: "By the reason of the failure",
        none: "None failed",
        queries: {
          "{{deployment}} {{reason}}": rate(
            "tribe_provider_attempts_total",
            "deployment, reason",
            `reason!~"OK|STOPPED"`,
          ),
        },
      },
      {
        title: "Open circuits",
        unit: "short",
        description: "1 for a deployment that is left alone because it fails",
        queries: {
          "{{deployment}}": `max by (deployment) (tribe_circuit_state{${instance},state="open"})`,
        },
      },
    ],
  },
  {
    uid: "tribe-machine",
    title: "Tribe: engines and machine",
    graphs: [
      {
        title: "Connections to PostgreSQL",
        unit: "short",
        description: "Of the primary and of each replica",
        queries: {
          "{{db_client_connection_pool_name}} {{db_client_connection_state}}": gauge(
            "db_client_connection_count",
            "sum by (db_client_connection_pool_name, db_client_connection_state)",
          ),
          "{{db_client_connection_pool_name}} at most": gauge(
            "db_client_connection_max",
            "sum by (db_client_connection_pool_name)",
          ),
          "calls that wait": gauge("db_client_connection_pending_requests", "sum"),
        },
      },
      {
        title: "Statements under way",
        unit: "short",
        description: "Of the hot path",
        queries: {
          "{{instance}}": gauge("tribe_postgres_statements_under_way", "sum by (instance)"),
        },
      },
      {
        title: "Lag of replicas",
        unit: "s",
        description: "How old what they show is",
        none: "There are no replicas",
        queries: { "{{replica}}": gauge("tribe_postgres_replica_lag_seconds", "max by (replica)") },
      },
      {
        title: "Redis",
        unit: "ops",
        description: "Commands a second",
        queries: {
          "{{instance}} sent": rate("tribe_redis_commands_total", "instance"),
          "{{instance}} failed": rate("tribe_redis_failed_commands_total", "instance"),
        },
      },
      {
        title: "Duration of checks",
        unit: "s",
        description: "How long parts took to answer the last health check",
        queries: {
          // Deployments are not asked, so their checks take no time.
          "{{component}}": `max by (component) (tribe_component_check_duration_seconds{${instance},component!~"deployment:.*"})`,
        },
      },
      {
        title: "CPU",
        unit: "short",
        description: "Cores that the process uses",
        queries: { "{{instance}}": rate("process_cpu_seconds_total", "instance") },
      },
      {
        title: "Event loop: delay, p99",
        unit: "s",
        description: "How late timers are",
        queries: {
          "{{instance}}": gauge("nodejs_eventloop_delay_p99_seconds", "max by (instance)"),
        },
      },
      {
        title: "Event loop: busy",
        unit: "percentunit",
        description: "Share of the time",
        queries: {
          "{{instance}}": gauge("nodejs_eventloop_utilization_ratio", "max by (instance)"),
        },
      },
      {
        title: "Memory",
        unit: "bytes",
        description: "Of the process, its heap, and what it may take",
        queries: {
          "{{instance}}": gauge("process_resident_memory_bytes", "sum by (instance)"),
          "{{instance}} heap": gauge("nodejs_heap_size_used_bytes", "sum by (instance)"),
          "limit of each": gauge("tribe_memory_limit_bytes", "min"),
        },
      },
      {
        title: "Open files and sockets",
        unit: "short",
        description: "Of the process",
        queries: { "{{instance}}": gauge("process_open_fds", "sum by (instance)") },
      },
      {
        title: "Disk left",
        unit: "percentunit",
        description: "Of the folders that the process works in",
        queries: {
          "{{instance}} {{path}}": `system_filesystem_available_bytes{${instance}} / system_filesystem_limit_bytes{${instance}}`,
        },
      },
      {
        title: "Network of the machine",
        unit: "Bps",
        description: "Bytes a second",
        queries: {
          "{{instance}} {{network_io_direction}}": rate(
            "system_network_io_bytes_total",
            "instance, network_io_direction",
          ),
        },
      },
    ],
  },
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
