import {
  Code,
  ConnectError,
  createClient,
  createRouterTransport,
  type Interceptor,
} from "@connectrpc/connect";
import { AdminService } from "../../gen/tribe/v1/admin_pb.js";
import { IdentityService } from "../../gen/tribe/v1/identity_pb.js";
import { createAccess } from "../access.ts";
import { trailOf } from "../audit/trail.ts";
import { createConversationRepository } from "../conversations/conversation.repository.ts";
import { createMessageRepository } from "../conversations/message.repository.ts";
import { createConversationData } from "../conversations/personal-data.repository.ts";
import { createVault, type Vault } from "../conversations/vault.ts";
import { prepareDirectory } from "../embedded/directory.ts";
import { keptSecretKey } from "../embedded/secret-key.ts";
import { entities } from "../entities.ts";
import { DomainError, statusCode } from "../errors.ts";
import { administratorId } from "../identity/administrator.ts";
import { type Caller, callerKey } from "../identity/caller.ts";
import { allPermissions } from "../identity/roles.ts";
import { policyOf } from "../policy.ts";
import { pendingMigrations } from "../postgres/migrator.ts";
import { createPostgres, type Postgres } from "../postgres/postgres.ts";
import { createValidationInterceptor } from "../rpc/validation/interceptor.ts";
import { createCounters } from "../telemetry/counters.ts";
import { createLogger } from "../telemetry/logger.ts";
import type { CliConfig } from "./cli-config.ts";
import type { Operator } from "./operator.ts";
import { OperatorError } from "./usage-error.ts";

/** A statement of an operator may take long: verifying a long audit log does. */
const statementTimeoutMs = 600_000;

/** Whoever has the database may do everything. */
const operator: Caller = { userId: administratorId, role: "admin", permissions: allPermissions };

/** Opens the database of DATABASE_URL. */
export function openDatabase({
  url,
  trust,
}: NonNullable<CliConfig["database"]>): Promise<Postgres> {
  return createPostgres({ url, trust, entities, statementTimeoutMs, poolSize: 2, laneCount: 1 });
}

/**
 * The services of identity and administration in this process, on the database, without asking
 * for a key. Running services notice the changes within seconds.
 */
export async function connectDatabase(
  config: CliConfig & { database: NonNullable<CliConfig["database"]> },
): Promise<Operator> {
  const keptSecret = keptSecretOf(config);
  const postgres = await openDatabase(config.database);
  try {
    await requireSchema(postgres);
  } catch (error) {
    await postgres.close();
    throw error;
  }
  const access = createAccess({
    config,
    adminApiKey: config.identity.adminApiKey,
    keptSecret,
    postgres,
    redis: undefined,
    counters: createCounters(),
    personalData: [conversationData(postgres, createVault(config.content))],
    logger: createLogger({ level: "silent" }),
  });
  await access.settings.start();
  const transport = createRouterTransport(
    (router) => {
      router.service(IdentityService, access.identityService);
      router.service(AdminService, access.adminService);
    },
    {
      router: {
        interceptors: [asOperator, access.audit.interceptor, noted, createValidationInterceptor()],
      },
    },
  );
  return {
    identity: createClient(IdentityService, transport),
    admin: createClient(AdminService, transport),
    where: "the database of DATABASE_URL",
    async close() {
      await access.close();
      await postgres.close();
    },
  };
}

/** In place of a credential; and what fails keeps its words, as no stranger reads them. */
const asOperator: Interceptor = (next) => async (request) => {
  request.contextValues.set(callerKey, operator);
  try {
    return await next(request);
  } catch (error) {
    if (error instanceof DomainError && error.reason !== "DATABASE_UNAVAILABLE") {
      throw new ConnectError(error.message, statusCode(error.code));
    }
    if (error instanceof ConnectError) throw error;
    throw new ConnectError(describe(error), Code.Unknown);
  }
};

function describe(error: unknown): string {
  const cause = error instanceof DomainError ? error.cause : undefined;
  const texts = [error, cause].filter((part) => part instanceof Error);
  return texts.map(({ message }) => message).join(": ");
}

/** The audit log says that nobody signed in for this. */
const noted: Interceptor = (next) => (request) => {
  if (policyOf(request.method).audited) {
    const trail = trailOf(request.contextValues);
    trail.userId = operator.userId;
    trail.facts["by"] = "command line on the database";
  }
  return next(request);
};

function conversationData(postgres: Postgres, vault: Vault) {
  const conversations = createConversationRepository(postgres, vault);
  return createConversationData(postgres, conversations, createMessageRepository(postgres, vault));
}

async function requireSchema(postgres: Postgres): Promise<void> {
  await postgres.ping(5000);
  const pending = await pendingMigrations(postgres);
  if (pending.length === 0) return;
  throw new OperatorError(
    "The database is not up to date: run `tribe migrate` first (its migrations need the rights to change the schema).",
  );
}

/** As the service finds it: with another secret the service would not know the keys made here. */
function keptSecretOf({ production, identity, directory }: CliConfig): string | undefined {
  if (identity.secretKeys.length > 0 || identity.adminApiKey !== undefined) return undefined;
  if (production) {
    throw new OperatorError(
      "SECRET_KEY is not set. Set it to what the service has: with another one the service would " +
        "know no key made here, and the audit log would not verify.",
    );
  }
  prepareDirectory(directory);
  return keptSecretKey(directory);
}
