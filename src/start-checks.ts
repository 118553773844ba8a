/** What is looked at in the database before a service takes calls. */
import { couldChangeAuditLog } from "./audit/privileges.repository.ts";
import {
  checkContentKeys,
  MissingContentKeyError,
} from "./conversations/content-key.repository.ts";
import type { Vault } from "./conversations/vault.ts";
import { pendingMigrations } from "./postgres/migrator.ts";
import type { Postgres } from "./postgres/postgres.ts";
import type { Logger } from "./telemetry/logger.ts";

/**
 * Rejects with MissingContentKeyError if something is sealed with a key that is not there. Not while the database is away: then reading what is sealed fails, and
 * says why.
 */
export async function requireContentKeys(
  postgres: Postgres,
  vault: Vault,
  logger: Logger,
): Promise<void> {
  try {
    await checkContentKeys(postgres, vault);
  } catch (error) {
    if (error instanceof MissingContentKeyError) throw error;
    logger.warn({ err: error }, "the keys of the content could not be checked");
  }
}

/** Whoever runs the service could edit what it did. */
export async function warnOfRights(postgres: Postgres, logger: Logger): Promise<void> {
  if (await couldChangeAuditLog(postgres).catch(() => false)) {
    logger.warn(
      "the service's database role could change the audit log: see docs/database-roles.md",
    );
  }
}

/** Statements of this version may not fit the tables. */
export async function warnOfPendingMigrations(postgres: Postgres, logger: Logger): Promise<void> {
  const pending = await pendingMigrations(postgres).catch(() => []);
  if (pending.length > 0) {
    logger.error({ pending }, "the database is not up to date: run `npm run migrate`");
  }
}
