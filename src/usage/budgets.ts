import type { Caller } from "../identity/caller.ts";
import type { ModelChoice } from "../providers/models.ts";
import type { ModelRequest } from "../providers/provider.ts";
import type { Settings } from "../settings/settings.ts";
import type { BudgetRepository, DefaultLimits } from "./budget.repository.ts";
import { budgetExhausted, priceUnknown } from "./budget-refusal.ts";
import {
  budgetsAllowUnpricedModels,
  defaultApiKeyBudget,
  defaultUserBudget,
  noLimits,
  toLimits,
} from "./budget-settings.ts";
import { highestPrices, mostInputTokens } from "./cost-bound.ts";
import type { Counters } from "../telemetry/counters.ts";
import type { KnownBudgets } from "./known-budgets.ts";
import { createReservation, type Reservation } from "./reservation.ts";
import { createTurnstile } from "./turnstile.ts";

/** Keeps turns within the budgets of their user, their API key and everybody. */
export interface Budgets {
  /** Whether any budget may limit the caller. No look-up, no wait. */
  mayLimit(caller: Caller): boolean;
  /**
   * Throws MODEL_PRICE_UNKNOWN when a budget limits the caller and the model's price is not known:
   * before anything is stored.
   */
  check(caller: Caller, choice: ModelChoice): void;
  /**
   * Reserves what the call may cost at most. Undefined: no budget counts for it, or it is free.
   * Rejects with BUDGET_EXHAUSTED when the budgets do not pay for a useful answer. What is
   * reserved ends with the statement that settles the run.
   */
  reserve(wish: BudgetWish): Promise<Reservation | undefined>;
  /** What users and keys may spend that have no budget of their own. */
  defaults(): DefaultLimits;
}

/** A call that is about to be made. */
export interface BudgetWish {
  runId: string;
  caller: Caller;
  choice: ModelChoice;
  /** As its provider would get it. */
  request: ModelRequest;
  /** How long the answer may become when the request says nothing. */
  answerTokens: number;
}

/** What it is made of. */
export interface BudgetsParts {
  repository: Pick<BudgetRepository, "reserve">;
  known: Pick<KnownBudgets, "mayLimit">;
  settings: Pick<Settings, "get" | "onChange">;
  /** Counts refusals. Default: nobody. */
  counters?: Counters;
  /** For tests. Default: the database's clock. */
  clock?: () => Date;
}

/** A shorter answer is of no use to anybody. */
const leastTokens = 16;
/** Models that think first need more before they say a word. */
const leastThinkingTokens = 1_024;

/**
 * How many reservations a process asks for at once. Those of one budget wait for each other anyway,
 * and better here than each with a connection that others need.
 */
const atOnce = 4;

/** The budgets, over the database and the settings. */
export function createBudgets(parts: BudgetsParts): Budgets {
  const { repository, known, settings, clock } = parts;
  const refusals = parts.counters?.counter(
    "tribe_budget_refusals",
    "Turns that a budget did not pay for, or could not because the price is not known",
  );
  const turnstile = createTurnstile(atOnce);
  let defaults: DefaultLimits = { user: noLimits, apiKey: noLimits };
  let allowsUnpriced = false;
  let limitsUsers = false;
  let limitsKeys = false;
  function readSettings() {
    defaults = {
      user: toLimits(settings.get(defaultUserBudget)),
      apiKey: toLimits(settings.get(defaultApiKeyBudget)),
    };
    allowsUnpriced = settings.get(budgetsAllowUnpricedModels);
    limitsUsers = Object.values(defaults.user).some((limit) => limit !== undefined);
    limitsKeys = Object.values(defaults.apiKey).some((limit) => limit !== undefined);
  }
  readSettings();
  settings.onChange(readSettings);

  function mayLimit({ userId, apiKeyId }: Caller): boolean {
    return (
      limitsUsers || (limitsKeys && apiKeyId !== undefined) || known.mayLimit(userId, apiKeyId)
    );
  }

  return {
    mayLimit,
    defaults: () => defaults,
    check(caller, choice) {
      if (choice.price === undefined && !allowsUnpriced && mayLimit(caller)) {
        refusals?.add({ reason: "price_unknown" });
        throw priceUnknown(choice.model);
      }
    },
    async reserve({ runId, caller, choice, request, answerTokens }) {
      const { price } = choice;
      if (price === undefined) return undefined;
      const inputTokens = mostInputTokens(request);
      const prices = highestPrices(price, inputTokens);
      if (prices.input + prices.output === 0n) return undefined;
      const wantedTokens = request.maxOutputTokens ?? answerTokens;
      const thinks = choice.entry.reasoning === true && request.reasoningEffort !== "none";
      const { userId, apiKeyId } = caller;
      const reservation = {
        runId,
        userId,
        apiKeyId,
        defaults,
        inputCost: BigInt(inputTokens) * prices.input,
        outputPrice: prices.output || 1n,
        wantedTokens,
        isAsked: request.maxOutputTokens !== undefined,
        leastTokens: thinks ? leastThinkingTokens : leastTokens,
        time: clock?.(),
      };
      const answer = await turnstile.pass(userId, () => repository.reserve(reservation));
      if (answer === undefined) return undefined;
      if ("subject" in answer) {
        refusals?.add({ reason: "exhausted" });
        throw budgetExhausted(answer);
      }
      const { grantedTokens, micros } = answer;
      return createReservation({
        maxOutputTokens: grantedTokens,
        isCut: grantedTokens < wantedTokens,
        micros,
        inputTokens,
        first: choice,
        allowsUnpriced,
      });
    },
  };
}
