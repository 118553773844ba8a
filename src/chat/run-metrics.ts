/**
 * Measures runs: states, tokens, cost, speed, and the calls to deployments behind them.
 * Names that begin with gen_ai, and their buckets:
 * https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/
 */
import { DomainError } from "../errors.ts";
import type { Answerer } from "../providers/model-answer.ts";
import type { Models } from "../providers/models.ts";
import type { Price } from "../providers/catalog.ts";
import type { CounterHandle, HistogramHandle, Metrics } from "../telemetry/metrics.ts";
import { ratesByKind, type TokenKind, tokenKinds, tokensByKind } from "../usage/cost.ts";
import type { TurnSettlement } from "./turn.repository.ts";

type Settlement = Pick<
  TurnSettlement,
  "status" | "model" | "provider" | "usage" | "costMicros" | "errorReason"
>;

/** What is measured of a run that has ended. */
export interface EndedRun {
  settlement: Settlement;
  /** It was told from storage: that says nothing of the model's speed. */
  isCached: boolean;
  /** When it began, had its first content (0: never) and its last, by the monotonic clock. */
  startedAt: number;
  firstContentAt: number;
  endedAt: number;
}

/** Measures runs and the calls to deployments behind them. */
export interface RunMetrics {
  /** A call to a deployment ended; `error`: what it failed with. */
  attempted(answerer: Answerer, error: unknown): void;
  ended(run: EndedRun): void;
  /** A run whose process had died was settled by this one. */
  abandoned(settlement: Settlement): void;
}

/** What stands for the names of models outside of the catalogue: callers could name any number. */
const otherModel = "other";

const tokenBounds = [1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576];
const durationBounds = [
  0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92, 300,
];
const firstTokenBounds = [
  0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60,
];
const perTokenBounds = [0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5];
const speedBounds = [1, 5, 10, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000];

/** All handles of one model at one provider. */
interface Handles {
  readonly firstToken: HistogramHandle;
  readonly perToken: HistogramHandle;
  readonly speed: HistogramHandle;
  readonly inputUsage: HistogramHandle;
  readonly outputUsage: HistogramHandle;
  readonly tokens: Readonly<Record<TokenKind, CounterHandle>>;
  readonly cost: Readonly<Record<TokenKind, CounterHandle>>;
  readonly unpriced: CounterHandle;
  readonly states: Readonly<Record<TurnSettlement["status"], CounterHandle>>;
  duration(errorType: string): HistogramHandle;
}

const statuses = ["completed", "failed", "cancelled", "interrupted"] as const;

/** Begins to measure. */
export function createRunMetrics(
  metrics: Metrics,
  models: Pick<Models, "list" | "deployments">,
): RunMetrics {
  const prices = new Map(models.list().map(({ model, price }) => [model, price]));
  const knownDeployments = new Set(models.deployments().map(({ name }) => name));
  const handlesOf = createHandles(metrics);
  const attempts = metrics.counter(
    "tribe_provider_attempts",
    "Calls to deployments, by the reason of their failure; `OK` for those that gave the answer",
    ["provider", "deployment", "reason"],
  );

  function find(model: string, provider: string): Handles {
    return handlesOf(prices.has(model) ? model : otherModel, provider);
  }
  return {
    attempted({ provider, deployment }, error) {
      const name = knownDeployments.has(deployment) ? deployment : otherModel;
      attempts.with(provider, name, reasonOf(error)).add();
    },
    ended({ settlement, isCached, startedAt, firstContentAt, endedAt }) {
      const { status, usage } = settlement;
      const handles = find(settlement.model, settlement.provider);
      count(handles, settlement, prices.get(settlement.model));
      if (isCached) return;
      handles
        .duration(status === "completed" ? "" : (settlement.errorReason ?? "INTERNAL"))
        .observe((endedAt - startedAt) / 1000);
      if (status === "completed" && firstContentAt !== 0) {
        handles.firstToken.observe((firstContentAt - startedAt) / 1000);
        const seconds = (endedAt - firstContentAt) / 1000;
        const { outputTokens } = usage;
        if (outputTokens > 1 && seconds > 0) {
          handles.perToken.observe(seconds / (outputTokens - 1));
          handles.speed.observe((outputTokens - 1) / seconds);
        }
      }
    },
    abandoned(settlement) {
      const { model, provider } = settlement;
      count(find(model, provider), settlement, prices.get(model));
    },
  };
}

function count(handles: Handles, settlement: Settlement, price: Price | undefined): void {
  const { status, usage, costMicros } = settlement;
  const tokens = tokensByKind(usage);
  handles.states[status].add();
  for (const kind of tokenKinds) handles.tokens[kind].add(tokens[kind]);
  if (usage.inputTokens > 0) handles.inputUsage.observe(usage.inputTokens);
  if (usage.outputTokens > 0) handles.outputUsage.observe(usage.outputTokens);
  if (costMicros === undefined) handles.unpriced.add();
  else countCost(handles, Number(costMicros) / 1e6, tokens, usage.inputTokens, price);
}

/** The kinds together are the cost to the cent; what failed attempts cost is shared out likewise. */
function countCost(
  { cost }: Handles,
  dollars: number,
  tokens: Readonly<Record<TokenKind, number>>,
  inputTokens: number,
  price: Price | undefined,
): void {
  if (dollars === 0) return;
  const rates = price && ratesByKind(price, inputTokens);
  const weightOf = (kind: TokenKind) => tokens[kind] * (rates?.[kind] ?? 1);
  let sum = 0;
  for (const kind of tokenKinds) sum += weightOf(kind);
  if (sum === 0) cost.input.add(dollars);
  else for (const kind of tokenKinds) cost[kind].add((dollars * weightOf(kind)) / sum);
}

function reasonOf(error: unknown): string {
  if (error === undefined) return "OK";
  return error instanceof DomainError ? error.reason : "STOPPED";
}

function createHandles(metrics: Metrics): (model: string, provider: string) => Handles {
  const genAi = ["gen_ai_operation_name", "gen_ai_provider_name", "gen_ai_request_model"];
  const firstToken = metrics.histogram(
    "gen_ai_server_time_to_first_token_seconds",
    "From the beginning of a run to its first content, failed attempts included",
    genAi,
    firstTokenBounds,
  );
  const perToken = metrics.histogram(
    "gen_ai_server_time_per_output_token_seconds",
    "Mean time per token of an answer after its first",
    genAi,
    perTokenBounds,
  );
  const duration = metrics.histogram(
    "gen_ai_client_operation_duration_seconds",
    "From the beginning of a run to the end of its answer",
    [...genAi, "error_type"],
    durationBounds,
  );
  const usage = metrics.histogram(
    "gen_ai_client_token_usage",
    "Tokens of an answer",
    [...genAi, "gen_ai_token_type"],
    tokenBounds,
  );
  const labels = ["model", "provider"];
  const speed = metrics.histogram(
    "tribe_output_tokens_per_second",
    "Tokens a second of an answer after its first",
    labels,
    speedBounds,
  );
  const tokens = metrics.counter("tribe_tokens", "Tokens by kind; kinds do not overlap", [
    ...labels,
    "kind",
  ]);
  const cost = metrics.counter(
    "tribe_cost_dollars",
    "What runs cost by kind of token, US dollars",
    [...labels, "kind"],
  );
  const unpriced = metrics.counter(
    "tribe_unpriced_runs",
    "Runs of models whose price is not known",
    labels,
  );
  const runs = metrics.counter("tribe_runs", "Runs that ended, by how", [...labels, "state"]);

  const known = new Map<string, Map<string, Handles>>();
  function create(model: string, provider: string): Handles {
    const durations = new Map<string, HistogramHandle>();
    const each = <Name extends string>(
      names: readonly Name[],
      handle: (name: Name) => CounterHandle,
    ) =>
      Object.fromEntries(names.map((name) => [name, handle(name)])) as Record<Name, CounterHandle>;
    return {
      firstToken: firstToken.with("chat", provider, model),
      perToken: perToken.with("chat", provider, model),
      speed: speed.with(model, provider),
      inputUsage: usage.with("chat", provider, model, "input"),
      outputUsage: usage.with("chat", provider, model, "output"),
      tokens: each(tokenKinds, (kind) => tokens.with(model, provider, kind)),
      cost: each(tokenKinds, (kind) => cost.with(model, provider, kind)),
      unpriced: unpriced.with(model, provider),
      states: each(statuses, (status) => runs.with(model, provider, status)),
      duration(errorType) {
        let handle = durations.get(errorType);
        if (handle === undefined) {
          handle = duration.with("chat", provider, model, errorType);
          durations.set(errorType, handle);
        }
        return handle;
      },
    };
  }
  return (model, provider) => {
    let byProvider = known.get(model);
    if (byProvider === undefined) known.set(model, (byProvider = new Map()));
    let handles = byProvider.get(provider);
    if (handles === undefined) byProvider.set(provider, (handles = create(model, provider)));
    return handles;
  };
}
