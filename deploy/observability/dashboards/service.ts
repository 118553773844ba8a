/** The dashboard of calls: how many, how fast, how they end. */
import { type Dashboard, gauge, instance, quantile, rate } from "./graph.ts";

const calls = "rpc_server_call_duration_seconds";
/** As the alert TribeCallsFail has it: a probe of a load balancer is no call. */
const noProbe = `rpc_method!~"grpc.health.*|tribe.v1.HealthService/.*"`;
const notWell = `tribe_component_status{${instance},status=~"degraded|down"}`;
const failed = `rpc_response_status_code=~"INTERNAL|UNKNOWN|DATA_LOSS|UNAVAILABLE|DEADLINE_EXCEEDED"`;

/** What callers meet. */
export const serviceDashboard: Dashboard = {
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
};
