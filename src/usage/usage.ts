import type { Audit } from "../audit/audit.ts";
import type { Changes } from "../changes.ts";
import { createDuty } from "../duty.ts";
import { createApiKeyRepository } from "../identity/api-key.repository.ts";
import { createUserRepository } from "../identity/user.repository.ts";
import type { Postgres } from "../postgres/postgres.ts";
import type { Settings } from "../settings/settings.ts";
import type { Counters } from "../telemetry/counters.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createBudgetRepository } from "./budget.repository.ts";
import { createBudgetService } from "./budget.rpc.ts";
import { createBudgets } from "./budgets.ts";
import { createKnownBudgets } from "./known-budgets.ts";
import { createSumming } from "./summing.ts";
import { createUsageRepository } from "./usage.repository.ts";
import { createUsageService } from "./usage.rpc.ts";

/** What it is made of. */
export interface UsageParts {
  postgres: Postgres;
  audit: Audit;
  settings: Settings;
  counters: Counters;
  changes: Changes;
  logger: Logger;
}

/** How many rows of the ledger are added to its sums in one transaction. */
const batchSize = 5000;
/** Between two looks for reservations that nobody will end. */
const orphanCheckMs = 600_000;

/** What was used, what it cost, and what may still be spent. */
export function createUsage(parts: UsageParts) {
  const { postgres, audit, settings, changes, counters, logger } = parts;
  const repository = createUsageRepository(postgres);
  const summing = createSumming({
    addSome: async () => (await repository.addToSums(batchSize)) === batchSize,
    logger,
  });
  const budgetRepository = createBudgetRepository(postgres, audit);
  const known = createKnownBudgets({ repository: budgetRepository, changes, logger });
  const budgets = createBudgets({ repository: budgetRepository, known, settings, counters });
  const orphans = createDuty({
    name: "budget-orphans",
    everyMs: orphanCheckMs,
    work: budgetRepository.releaseOrphans,
    postgres,
    logger,
  });
  const users = createUserRepository(postgres, audit);
  const apiKeys = createApiKeyRepository(postgres, audit);
  const budgetService = createBudgetService({
    repository: budgetRepository,
    known,
    defaults: budgets.defaults,
    isUser: async (userId) => (await users.find(userId)) !== undefined,
    ownerOf: async (apiKeyId) => (await apiKeys.find(apiKeyId))?.userId,
  });

  return {
    /** What keeps turns within their budgets. */
    budgets,
    service: { ...createUsageService(repository), ...budgetService },
    async start(): Promise<void> {
      await known.start();
      summing.start();
      orphans.start();
    },
    async close(): Promise<void> {
      await Promise.all([summing.close(), orphans.close()]);
    },
  };
}
