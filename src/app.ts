/** The composition root: a Config becomes a service that listens and closes. */
import { setTimeout as pause } from "node:timers/promises";
import { ChatService } from "../gen/tribe/v1/chat_pb.js";
import { AdminService } from "../gen/tribe/v1/admin_pb.js";
import { ConversationService } from "../gen/tribe/v1/conversation_pb.js";
import { HealthService } from "../gen/tribe/v1/health_pb.js";
import { IdentityService } from "../gen/tribe/v1/identity_pb.js";
import { UsageService } from "../gen/tribe/v1/usage_pb.js";
import { createAccess } from "./access.ts";
import { createChat } from "./chat/chat.ts";
import type { Config } from "./config.ts";
import { createConversations } from "./conversations/conversations.ts";
import { createVault } from "./conversations/vault.ts";
import type { Embedded } from "./embedded/embedded.ts";
import { waitUntil } from "./embedded/process.ts";
import { prepareEmbeddedDatabase } from "./embedded-database.ts";
import { startNeeded } from "./embedded-needs.ts";
import { entities } from "./entities.ts";
import { createHealthChecks } from "./health-checks.ts";
import { createHealth } from "./health/health.ts";
import { createHealthService } from "./health/health.rpc.ts";
import { createEventLoopGauge } from "./limits/event-loop-gauge.ts";
import { createOverload } from "./limits/overload.ts";
import { createOverloadInterceptor } from "./limits/overload.interceptor.ts";
import { allPermissions } from "./identity/roles.ts";
import { requirePolicies } from "./policy.ts";
import { createPostgres } from "./postgres/postgres.ts";
import { createConfiguredModels } from "./providers/configured-models.ts";
import { deploymentComponent } from "./deployment-health.ts";
import { deploymentsSetting } from "./providers/deployment-setting.ts";
import { createRedis } from "./redis/redis.ts";
import type { Routes } from "./rpc/invoke.ts";
import { requireContentKeys, warnOfPendingMigrations, warnOfRights } from "./start-checks.ts";
import { addDocsRoutes } from "./server/docs.ts";
import { addJwksRoute } from "./server/jwks.ts";
import { createServer, type ServerPorts } from "./server/server.ts";
import { createMeasuring } from "./measuring.ts";
import { createModuleLoggers, logLevelsSetting } from "./telemetry/log-levels.ts";
import type { Logger } from "./telemetry/logger.ts";
import { createTelemetry } from "./telemetry/telemetry.ts";
import { readVersion } from "./version.ts";
import { createUsage } from "./usage/usage.ts";

/** What Tribe is called in health answers: the version of its package. */
export const version: string = readVersion();

/** A service that is ready to listen. */
export interface App {
  /** Opens the ports. */
  listen(): Promise<ServerPorts>;
  /** The administrator's key, if Tribe made it itself. */
  readonly madeAdminApiKey: string | undefined;
  /** The model that answers when none is named. */
  readonly defaultModel: string;
  readonly defaultProvider: string;
  /** Resolves with a description when something ends without which nothing works. */
  readonly failed: Promise<string>;
  /** Tells of an error that ends the process, and waits until that is sent. */
  reportCrash(error: unknown): Promise<void>;
  /**
   * Not ready, runs and calls end, then everything that was started. When `hurry` aborts, what
   * still runs is stopped.
   */
  close(hurry?: AbortSignal): Promise<void>;
}

/** Makes the service. `onProgress` is told what takes time, in a few words. */
export async function createApp(
  config: Config,
  logger: Logger,
  onProgress: (message: string) => void,
): Promise<App> {
  const embedded = await startNeeded(config, onProgress);
  const opened = new AsyncDisposableStack();
  opened.defer(async () => embedded?.stop());
  try {
    return await assemble(config, logger, onProgress, embedded, opened);
  } catch (error) {
    // What stayed open would keep the process of a start that failed.
    await opened.disposeAsync();
    throw error;
  }
}

/** How long a start waits for what Redis knows of earlier runs. */
const redisPatienceMs = 5_000;
/** How long a collector may take for what was not sent before the end. */
const lastSpansMs = 3_000;

/** All services, the ones that later work fills too. */
const services = [
  ChatService,
  ConversationService,
  HealthService,
  IdentityService,
  UsageService,
  AdminService,
];

async function assemble(
  config: Config,
  rootLogger: Logger,
  onProgress: (message: string) => void,
  embedded: Embedded | undefined,
  opened: AsyncDisposableStack,
): Promise<App> {
  const loggers = createModuleLoggers(rootLogger);
  const logger = loggers.of("app");
  if (embedded?.postgresUrl !== undefined) onProgress("Bringing the database up to date");
  const embeddedUrl =
    embedded?.postgresUrl && (await prepareEmbeddedDatabase(embedded.postgresUrl));
  const postgres = await createPostgres({
    url: config.postgres.url ?? embeddedUrl ?? "",
    replicaUrls: config.postgres.replicaUrls,
    trust: config.postgres.trust,
    entities,
    warn: (message) => loggers.of("postgres").warn(message),
  });
  opened.defer(postgres.close);
  const telemetry = await createTelemetry(config.telemetry, version);
  opened.defer(() => telemetry.close(lastSpansMs));
  const vault = createVault(config.content);
  await requireContentKeys(postgres, vault, logger);
  const redisAddress = config.redis.kind === "embedded" ? embedded?.redis : config.redis;
  const redis =
    redisAddress &&
    createRedis({ address: redisAddress, warn: (message) => loggers.of("redis").warn(message) });
  opened.defer(async () => redis?.close());
  const models = createConfiguredModels(
    { ...config.providers, production: config.production },
    redis,
  );
  const conversations = createConversations(postgres, vault, loggers.of("conversations"));
  requirePolicies(services, allPermissions);
  const measuring = createMeasuring(config, redis);
  const { counters } = measuring;
  const access = createAccess({
    config,
    adminApiKey: config.identity.adminApiKey ?? embedded?.adminApiKey,
    keptSecret: embedded?.secretKey,
    postgres,
    redis,
    counters,
    // Chat first: no run that is under way may write into what is erased.
    personalData: [
      // It is made below, because it needs the limits.
      {
        export: (userId) => chat.personalData.export(userId),
        erase: (userId) => chat.personalData.erase(userId),
      },
      conversations.personalData,
    ],
    logger: loggers.of("access"),
  });
  const { audit, settings, changes } = access;
  const parts = { postgres, audit, settings, changes, counters };
  const usage = createUsage({ ...parts, logger: loggers.of("usage") });
  const chat = createChat({
    postgres,
    redis,
    models,
    vault,
    limits: access.limits,
    budgets: usage.budgets,
    settings,
    counters,
    runLeaseMs: config.runLeaseMs,
    logger: loggers.of("chat"),
    metrics: measuring.metrics,
    report: telemetry.report,
  });

  access.settings.onChange(() => loggers.setLevels(access.settings.get(logLevelsSetting)));
  const adjustDeployments = () => {
    const unknown = models.adjust(access.settings.get(deploymentsSetting));
    if (unknown.length > 0)
      logger.warn({ unknown }, "a setting names deployments that are not there");
  };
  access.settings.onChange(adjustDeployments);

  const eventLoopGauge = createEventLoopGauge(config.overload.eventLoopDelayMs);
  const overload = createOverload([
    eventLoopGauge,
    {
      name: "calls under way",
      limit: config.overload.calls,
      read: () => server.callsInFlight(),
    },
    { name: "runs under way", limit: config.overload.calls, read: chat.runsInFlight },
    { name: "calls waiting for the database", limit: 200, read: () => postgres.pool().waiting },
    { name: "statements under way", limit: 800, read: () => postgres.pool().underWay },
  ]);

  const health = createHealth({
    version,
    checks: createHealthChecks({
      postgres,
      redis,
      limits: access.limits,
      overload,
      chat,
      host: measuring.host,
    }),
    components: () => models.deployments().map(deploymentComponent),
    callsInFlight: () => server.callsInFlight(),
    runsInFlight: chat.runsInFlight,
  });
  const { limits } = access;
  measuring.look({ version, health, chat, models, limits, overload, postgres, redis });
  const routes: Routes = (router) => {
    router.service(ChatService, chat.service);
    router.service(ConversationService, conversations.service);
    router.service(HealthService, createHealthService(health));
    router.service(IdentityService, access.identityService);
    router.service(UsageService, usage.service);
    router.service(AdminService, access.adminService);
  };
  const server = createServer({
    routes,
    interceptors: [createOverloadInterceptor(overload), ...access.interceptors],
    logger: loggers.of("calls"),
    trace: telemetry.trace,
    report: telemetry.report,
    reflection: config.grpc.reflection,
    readiness: health.readiness,
    host: config.http.host,
    httpPort: config.http.port,
    grpcPort: config.grpc.port,
    trustedProxies: config.trustedProxies,
    corsOrigins: config.corsOrigins,
    metrics: measuring.serverPart,
    // A little longer than runs get: the last event of a stopped run still reaches its followers.
    drainMs: config.shutdownTimeoutMs + 2000,
    addRoutes(http) {
      addDocsRoutes(http);
      addJwksRoute(http, access.jwks);
    },
  });

  return {
    madeAdminApiKey: embedded?.adminApiKey,
    defaultModel: models.list()[0]?.model ?? "",
    defaultProvider: models.list()[0]?.provider ?? "",
    failed: embedded?.failed ?? new Promise(() => {}),
    async listen() {
      await Promise.all([health.start(), measuring.start()]);
      await warnOfPendingMigrations(postgres, logger);
      await access.start();
      if (config.production) void warnOfRights(postgres, logger);
      await usage.start();
      if (embedded?.postgresUrl !== undefined) {
        // The embedded database is ours alone. What had arrived of its runs is in Redis.
        if (redis !== undefined) await waitUntil(redis.isReady, redisPatienceMs);
        await chat.endEarlierRuns();
      }
      const ports = await server.listen();
      embedded?.announce(`http://${config.http.host}:${ports.httpPort}`);
      return ports;
    },
    async reportCrash(error) {
      telemetry.report?.({ error, where: "the process" });
      await telemetry.close(lastSpansMs);
    },
    async close(hurry = new AbortController().signal) {
      health.drain();
      server.drain();
      await pause(config.shutdownPauseMs, undefined, { signal: hurry }).catch(() => undefined);
      const lastCall = server.close(hurry);
      await Promise.all([lastCall, chat.close(config.shutdownTimeoutMs, hurry, lastCall)]);
      eventLoopGauge.stop();
      await measuring.close();
      await conversations.close();
      health.stop();
      await usage.close();
      await access.close();
      await redis?.close();
      await postgres.close();
      await models.close();
      await telemetry.close(lastSpansMs);
      await embedded?.stop();
    },
  };
}
