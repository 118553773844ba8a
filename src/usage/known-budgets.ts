import type { Changes } from "../changes.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { BudgetRepository } from "./budget.repository.ts";

/** In memory, who has a budget: so that turns of whoever has none cost nothing. */
export interface KnownBudgets {
  /** Whether the user, the key or everybody may have one; at most a second old. Yes while it is not known. */
  mayLimit(userId: string, apiKeyId: string | undefined): boolean;
  /** Tells all processes that a budget was set. */
  publish(subject: string): void;
  start(): Promise<void>;
}

/** What it is made of. */
export interface KnownBudgetsParts {
  repository: Pick<BudgetRepository, "list" | "find" | "changedSince">;
  changes: Pick<Changes, "listen" | "publish">;
  logger: Logger;
}

/** In front of the subjects that changes are told by. */
const prefix = "budget:";

/** How all processes are told that a subject's budget was set. */
export function budgetChange(subject: string): string {
  return `${prefix}${subject}`;
}

/** Listens to changes from now on. */
export function createKnownBudgets({ repository, changes, logger }: KnownBudgetsParts) {
  // Undefined: not known. Then a reservation asks the database, which knows.
  let subjects: Set<string> | undefined;
  /** Grows with every change that is told of: what was read before it may be old. */
  let epoch = 0;

  async function load() {
    for (;;) {
      const before = epoch;
      const found = await repository.list();
      if (before !== epoch) continue;
      subjects = new Set(found);
      return;
    }
  }
  function loadSoon() {
    epoch += 1;
    load().catch((error: unknown) =>
      logger.warn({ err: error }, "the budgets cannot be read; the last known ones apply"),
    );
  }
  async function learn(subject: string) {
    epoch += 1;
    // Until it is known: as if it had one.
    subjects?.add(subject);
    const since = epoch;
    try {
      const isLimited = await repository.find(subject);
      if (!isLimited && since === epoch) subjects?.delete(subject);
    } catch (error) {
      logger.warn({ err: error, subject }, "a budget cannot be read; it is taken for one");
    }
  }
  changes.listen({
    changed: (subject) => {
      if (subject.startsWith(prefix)) void learn(subject.slice(prefix.length));
    },
    missed: loadSoon,
    poll: async (sinceMs) => (await repository.changedSince(sinceMs)).map(budgetChange),
  });

  const known: KnownBudgets = {
    mayLimit(userId, apiKeyId) {
      if (subjects === undefined) return true;
      if (subjects.size === 0) return false;
      return (
        subjects.has("everyone") ||
        subjects.has(`user:${userId}`) ||
        (apiKeyId !== undefined && subjects.has(`key:${apiKeyId}`))
      );
    },
    publish: (subject) => changes.publish([budgetChange(subject)]),
    start: () => load().catch(loadSoon),
  };
  return known;
}
