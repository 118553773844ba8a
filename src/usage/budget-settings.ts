import type { SettingDefinition } from "../settings/definition.ts";

/** Limits in millionths of a US dollar. What is undefined does not limit. */
export interface BudgetLimits {
  /** Of a day, UTC. */
  readonly dailyMicros: bigint | undefined;
  /** Of a month, UTC. */
  readonly monthlyMicros: bigint | undefined;
}

/** Limits as JSON has them. */
type LimitsValue = { dailyMicros?: number; monthlyMicros?: number };

/** Nothing limits. */
export const noLimits: BudgetLimits = { dailyMicros: undefined, monthlyMicros: undefined };

function limitsSetting(name: string, whose: string): SettingDefinition<LimitsValue> {
  return {
    name,
    default: {},
    meaning: `The budget of each ${whose} that has none of its own, in millionths of a US dollar for a day and a month (UTC), for example \`{"dailyMicros": 5000000}\` for five dollars a day. What is left out does not limit.`,
    parse(value, wrong) {
      if (typeof value !== "object" || value === null || Array.isArray(value)) {
        wrong("must be an object with dailyMicros, monthlyMicros or both");
      }
      for (const [key, limit] of Object.entries(value as object)) {
        if (key !== "dailyMicros" && key !== "monthlyMicros") {
          wrong(`has no "${key}"; there are dailyMicros and monthlyMicros`);
        }
        if (!Number.isSafeInteger(limit) || Number(limit) < 0) {
          wrong(`must have a whole number of micros, 0 or more, as ${key}`);
        }
      }
      return value as LimitsValue;
    },
  };
}

/** What each user may spend, unless SetBudget says otherwise. */
export const defaultUserBudget = limitsSetting("defaultUserBudget", "user");

/** What each API key may spend, unless SetBudget says otherwise. */
export const defaultApiKeyBudget = limitsSetting("defaultApiKeyBudget", "API key");

/** Whether models without a known price may be asked by those whom a budget limits. */
export const budgetsAllowUnpricedModels: SettingDefinition<boolean> = {
  name: "budgetsAllowUnpricedModels",
  default: false,
  meaning:
    "Whether whoever has a budget may ask models whose price is not known. Such runs have no cost, so no budget counts them.",
  parse: (value, wrong) => (typeof value === "boolean" ? value : wrong("must be true or false")),
};

/** The settings of budgets. */
export const budgetSettings = [
  defaultUserBudget,
  defaultApiKeyBudget,
  budgetsAllowUnpricedModels,
] as const;

/** The value of a setting as limits. */
export function toLimits({ dailyMicros, monthlyMicros }: LimitsValue): BudgetLimits {
  return {
    dailyMicros: dailyMicros === undefined ? undefined : BigInt(dailyMicros),
    monthlyMicros: monthlyMicros === undefined ? undefined : BigInt(monthlyMicros),
  };
}
