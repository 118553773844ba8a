import type { ServiceImpl } from "@connectrpc/connect";
import type { Budget, UsageService } from "../../gen/tribe/v1/usage_pb.js";
import { type AuditTrail, leaveUnrecorded, trailOf } from "../audit/trail.ts";
import { notFound } from "../errors.ts";
import { type Caller, requireCaller } from "../identity/caller.ts";
import { requireAll, targetUserId } from "../identity/grants.ts";
import type { BudgetRepository, DefaultLimits } from "./budget.repository.ts";
import { type BudgetLimits, noLimits } from "./budget-settings.ts";
import { type BudgetSubject, subjectName } from "./budget-subject.ts";
import type { KnownBudgets } from "./known-budgets.ts";

/** What the budget part of UsageService is made of. */
export interface BudgetServiceParts {
  repository: Pick<BudgetRepository, "state" | "set">;
  known: Pick<KnownBudgets, "publish">;
  defaults(): DefaultLimits;
  isUser(userId: string): Promise<boolean>;
  /** Whose key it is; undefined: nobody's. */
  ownerOf(apiKeyId: string): Promise<string | undefined>;
}

/** Whose budget is meant, as both requests say it. */
interface Named {
  userId: string;
  apiKeyId: string;
}

/** The budget part of UsageService: from the contract to the repository and back. */
export function createBudgetService(parts: BudgetServiceParts) {
  const { repository, known } = parts;

  /** Only what the caller may know of: to others it is as if it did not exist. */
  async function subjectOf(
    caller: Caller,
    { userId, apiKeyId }: Named,
    grant: string,
    trail: AuditTrail,
  ): Promise<BudgetSubject> {
    // Before anything is refused: it is to be seen whose budget somebody reached for.
    if (apiKeyId !== "") {
      trail.resource = `budget/key:${apiKeyId}`;
      const owner = await parts.ownerOf(apiKeyId);
      const isTheirs = owner === caller.userId || caller.permissions.has(grant);
      if (owner === undefined || !isTheirs || (userId !== "" && userId !== owner)) {
        throw notFound("API key", apiKeyId);
      }
      return { kind: "key", userId: owner, apiKeyId };
    }
    trail.resource = userId === "" ? "budget/everyone" : `budget/user:${userId}`;
    if (userId === "") {
      requireAll(caller, [grant], "see or set the budget of everyone");
      return { kind: "everyone" };
    }
    const target = targetUserId(caller, userId, grant);
    if (!(await parts.isUser(target))) throw notFound("user", target);
    return { kind: "user", userId: target };
  }
  function defaultOf({ kind }: BudgetSubject): BudgetLimits {
    const { user, apiKey } = parts.defaults();
    if (kind === "everyone") return noLimits;
    return kind === "user" ? user : apiKey;
  }

  return {
    async getBudget(request, { values }) {
      const caller = requireCaller(values);
      const trail = trailOf(values);
      const subject = await subjectOf(caller, request, "usage:read_all", trail);
      if (subject.kind !== "everyone" && subject.userId === caller.userId) leaveUnrecorded(trail);
      const state = await repository.state(subject, Date.now());
      const { reservedMicros } = state;
      return {
        budget: toProtoBudget(state.limits ?? defaultOf(subject)),
        spentTodayMicros: state.spentTodayMicros + reservedMicros,
        spentThisMonthMicros: state.spentThisMonthMicros + reservedMicros,
        reservedMicros,
        default: state.limits === undefined,
      };
    },

    async setBudget(request, { values }) {
      const trail = trailOf(values);
      const subject = await subjectOf(requireCaller(values), request, "budgets:write", trail);
      const name = subjectName(subject);
      const { dailyMicros, monthlyMicros } = request.budget ?? {};
      const limits = { dailyMicros, monthlyMicros };
      if (subject.kind !== "everyone") trail.subjectId = subject.userId;
      for (const [limit, micros] of Object.entries(limits)) {
        trail.facts[limit] = micros === undefined ? "none" : String(micros);
      }
      if (!(await repository.set(subject, limits, trail))) {
        throw notFound(subject.kind === "key" ? "API key" : "user", name.replace(/^.*:/, ""));
      }
      known.publish(name);
      return { budget: toProtoBudget(limits) };
    },
  } satisfies Partial<ServiceImpl<typeof UsageService>>;
}

function toProtoBudget({ dailyMicros, monthlyMicros }: BudgetLimits): Budget {
  return {
    $typeName: "tribe.v1.Budget",
    ...(dailyMicros !== undefined && { dailyMicros }),
    ...(monthlyMicros !== undefined && { monthlyMicros }),
  };
}
