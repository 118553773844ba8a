/** Who may do what, composed: the audit log, the settings and identity, over one pair of engines. */
import { createAnomalies } from "./anomalies/anomalies.ts";
import { anomalySettings } from "./anomalies/anomaly-settings.ts";
import { createMemorySightings } from "./anomalies/sightings.ts";
import { createRedisSightings } from "./anomalies/sightings.store.ts";
import { findUnusualSpend } from "./anomalies/spend.repository.ts";
import { exportAuditData } from "./audit/audit-data.repository.ts";
import { createAudit } from "./audit/audit.ts";
import { createChanges } from "./changes.ts";
import type { Config } from "./config.ts";
import { eraseUnusedConversations } from "./conversations/retention.repository.ts";
import { createDuty } from "./duty.ts";
import { createIdentity } from "./identity/identity.ts";
import { eraseRemains } from "./identity/erased-users.repository.ts";
import type { PersonalData } from "./identity/personal-data.ts";
import { rolePermissionsSetting } from "./identity/role-setting.ts";
import { callerKey } from "./identity/caller.ts";
import { createKeyRing, keyedHash } from "./key-ring.ts";
import { answerCacheSettings } from "./chat/cache-settings.ts";
import { createLimitInterceptor } from "./limits/limit.interceptor.ts";
import { createLimits } from "./limits/limits.ts";
import { limitsSetting } from "./limits/limits-setting.ts";
import type { Postgres } from "./postgres/postgres.ts";
import type { Redis } from "./redis/redis.ts";
import { retentionSettings } from "./retention/retention-settings.ts";
import { createRetention } from "./retention/retention.ts";
import { deploymentsSetting } from "./providers/deployment-setting.ts";
import { callKey } from "./rpc/call.ts";
import { createSettings } from "./settings/settings.ts";
import { createSettingsService } from "./settings/settings.rpc.ts";
import { budgetSettings } from "./usage/budget-settings.ts";
import { inheritBudget } from "./usage/inherited-budget.repository.ts";
import { exportUsage } from "./usage/personal-data.repository.ts";
import type { Counters } from "./telemetry/counters.ts";
import { logLevelsSetting } from "./telemetry/log-levels.ts";
import type { Logger } from "./telemetry/logger.ts";

/** What it is composed of. */
export interface AccessParts {
  config: Pick<Config, "production" | "identity">;
  /** The administrator's key, given or made. */
  adminApiKey: string | undefined;
  /** The server's secret, if Tribe made it itself. */
  keptSecret: string | undefined;
  postgres: Postgres;
  redis: Redis | undefined;
  counters: Counters;
  /** What other rooms keep of users. */
  personalData: readonly PersonalData[];
  logger: Logger;
}

/** Between two looks at what everybody spent. */
const spendCheckMs = 300_000;

/** Between two looks at what is too old. */
const retentionMs = 600_000;

/** Every setting there is. */
export const settingDefinitions = [
  rolePermissionsSetting,
  limitsSetting,
  ...answerCacheSettings,
  ...anomalySettings,
  ...retentionSettings,
  deploymentsSetting,
  ...budgetSettings,
  logLevelsSetting,
] as const;

/** Composes it; nothing runs before `start`. */
export function createAccess(parts: AccessParts) {
  const { config, postgres, redis, logger } = parts;
  const keyRing = createKeyRing(secretsOf(parts));
  const changes = createChanges({ redis, logger });
  const audit = createAudit({ postgres, keyRing, logger });
  const settings = createSettings({
    postgres,
    audit,
    changes,
    definitions: settingDefinitions,
    logger,
  });
  const anomalies = createAnomalies({
    sightings: redis === undefined ? createMemorySightings() : createRedisSightings(redis),
    findUnusualSpend: (factor, leastMicros) => findUnusualSpend(postgres, factor, leastMicros),
    blocks: {
      user: (...block) => identity.blocks.user(...block),
      key: (...block) => identity.blocks.key(...block),
      account: (...block) => identity.blocks.account(...block),
      address: (...block) => identity.blocks.address(...block),
    },
    audit,
    settings,
    keyRing,
    counters: parts.counters,
    logger,
  });
  const limitsKey = keyRing.derive("limits")[0].key;
  const limits = createLimits({
    redis,
    table: () => settings.get(limitsSetting),
    hash: (text) => keyedHash(limitsKey, text).toString("base64url", 0, 16),
    counters: parts.counters,
    logger,
  });
  const limitInterceptor = createLimitInterceptor({
    limits,
    callerOf: (values) => values.get(callerKey),
    addressOf: (values) => values.get(callKey)?.address ?? "",
  });
  const identity: ReturnType<typeof createIdentity> = createIdentity({
    config: config.identity,
    adminApiKey: parts.adminApiKey,
    environment: config.production ? "live" : "dev",
    postgres,
    redis,
    audit,
    settings,
    changes,
    keyRing,
    guessers: limits.guessers,
    watch: anomalies,
    inherit: inheritBudget,
    personalData: [
      ...parts.personalData,
      { export: (userId) => exportUsage(postgres, userId), erase: async () => {} },
      { export: (userId) => exportAuditData(postgres, userId), erase: async () => {} },
    ],
    logger,
  });

  const duties = [
    createDuty({
      name: "spend",
      everyMs: spendCheckMs,
      work: anomalies.checkSpend,
      postgres,
      logger,
    }),
    createDuty({
      name: "retention",
      everyMs: retentionMs,
      work: createRetention({
        eraseConversations: (before, goOn) =>
          eraseUnusedConversations(postgres, audit, before, goOn),
        eraseRemains: () => eraseRemains(postgres),
        audit,
        settings,
        logger,
      }),
      postgres,
      logger,
    }),
  ];

  return {
    audit,
    settings,
    changes,
    limits,
    /** Behind the outermost interceptor and before validation. The first is the outermost. */
    interceptors: [audit.interceptor, identity.interceptor, limitInterceptor],
    identityService: identity.service,
    /** What others verify our tokens with. */
    jwks: identity.jwks,
    adminService: { ...audit.service, ...createSettingsService(settings) },
    async start(): Promise<void> {
      changes.start();
      await Promise.all([settings.start(), limits.start()]);
      identity.start();
      audit.start();
      anomalies.start();
      for (const duty of duties) duty.start();
    },
    /** Stores what is still in memory; before the engines are closed. */
    async close(): Promise<void> {
      changes.close();
      await Promise.all(duties.map((duty) => duty.close()));
      await anomalies.close();
      await limits.close();
      await identity.close();
      await audit.close();
    },
  };
}

/** What API keys are hashed and the audit log is chained with, the newest first. */
function secretsOf(parts: AccessParts): readonly [string, ...string[]] {
  const [first, ...rest] = parts.config.identity.secretKeys;
  if (first !== undefined) return [first, ...rest];
  if (parts.keptSecret !== undefined) return [parts.keptSecret];
  if (parts.adminApiKey === undefined)
    throw new Error("neither SECRET_KEY nor ADMIN_API_KEY is set");
  parts.logger.warn(
    "SECRET_KEY is not set, so ADMIN_API_KEY is used: changing it ends all API keys",
  );
  return [parts.adminApiKey];
}
