/** The dashboard of models: runs, tokens, costs, deployments. */
import { type Dashboard, instance, quantile, rate } from "./graph.ts";

/** What models do and cost. */
export const modelsDashboard: Dashboard = {
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
};
