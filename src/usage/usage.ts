import type { Postgres } from "../postgres/postgres.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createSumming } from "./summing.ts";
import { createUsageRepository } from "./usage.repository.ts";
import { createUsageService } from "./usage.rpc.ts";

/** What it is made of. */
export interface UsageParts {
  postgres: Postgres;
  logger: Logger;
}

/** How many rows of the ledger are added to its sums in one transaction. */
const batchSize = 5000;

/** What was used and what it cost. */
export function createUsage({ postgres, logger }: UsageParts) {
  const repository = createUsageRepository(postgres);
  const summing = createSumming({
    addSome: async () => (await repository.addToSums(batchSize)) === batchSize,
    logger,
  });
  return {
    service: createUsageService(repository),
    start: summing.start,
    close: summing.close,
  };
}
