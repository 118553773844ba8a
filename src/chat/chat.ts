import type { ServiceImpl } from "@connectrpc/connect";
import type { ChatService } from "../../gen/tribe/v1/chat_pb.js";
import type { Limits } from "../limits/limits.ts";
import type { Postgres } from "../postgres/postgres.ts";
import type { Models } from "../providers/models.ts";
import type { Redis } from "../redis/redis.ts";
import type { Settings } from "../settings/settings.ts";
import type { Counters } from "../telemetry/counters.ts";
import type { Vault } from "../conversations/vault.ts";
import { isUnexpected, type ReportError } from "../telemetry/error-report.ts";
import type { Logger } from "../telemetry/logger.ts";
import type { Metrics } from "../telemetry/metrics.ts";
import type { Budgets } from "../usage/budgets.ts";
import { createAdmission } from "./admission.ts";
import { createAnswerCache } from "./answer-cache.ts";
import { createMemoryAnswerCache, createRedisAnswerCache } from "./answer-cache.store.ts";
import { answerCacheScopeSetting, answerCacheSecondsSetting } from "./cache-settings.ts";
import { createCancellation } from "./cancellation.store.ts";
import { createChatService } from "./chat.rpc.ts";
import { createGenerate } from "./generation.ts";
import { createRunData } from "./personal-data.repository.ts";
import { createReplays } from "./replay.ts";
import { createRunFinder } from "./run-finder.ts";
import { createRunRepository } from "./run.repository.ts";
import { createRunMetrics } from "./run-metrics.ts";
import { createRunLog } from "./run-log.store.ts";
import { createRuns } from "./runs.ts";
import { createSettler } from "./settle.ts";
import { createSweeper } from "./sweeper.ts";
import { createTurn } from "./turn.ts";
import { traceTurns } from "./turn-trace.ts";
import { createTurnRepository } from "./turn.repository.ts";

/** Everything that makes chat turns. */
export interface Chat {
  service: ServiceImpl<typeof ChatService>;
  /** What is kept of users here. */
  personalData: ReturnType<typeof createRunData>;
  /** Runs being generated now. */
  runsInFlight(): number;
  /** Answers that wait in memory for a database that is away. */
  answersWaiting(): number;
  /** Ends at once what another process left; only before calls are taken, and where no other is. */
  endEarlierRuns(): Promise<void>;
  /**
   * Lets the runs end, at most `limitMs` and until `hurry` aborts, then stops them; what had
   * arrived is stored. Calls may begin runs until `lastCall` resolves.
   */
  close(limitMs: number, hurry?: AbortSignal, lastCall?: Promise<unknown>): Promise<void>;
}

/** What chat is made of. */
export interface ChatParts {
  /** Takes the errors of runs that nobody expected. */
  report?: ReportError | undefined;
  postgres: Postgres;
  redis: Redis | undefined;
  models: Models;
  limits: Limits;
  budgets: Budgets;
  /** How what is said is kept. */
  vault: Vault;
  settings: Settings;
  counters: Counters;
  /** After which silence the process of a run counts as dead. */
  runLeaseMs: number;
  logger: Logger;
  /** Undefined: runs are not measured. */
  metrics?: Metrics | undefined;
}

export function createChat(parts: ChatParts): Chat {
  const { postgres, redis, models, limits, budgets, vault, settings, logger } = parts;
  const repository = createTurnRepository(postgres, vault);
  const runRepository = createRunRepository(postgres, vault);
  const log = redis && createRunLog(redis, vault);
  const runMetrics = parts.metrics && createRunMetrics(parts.metrics, models);
  const runs = createRuns(log);
  const finder = createRunFinder(runRepository, runs, createReplays(runRepository, log));
  const settler = createSettler(repository);
  const cancellation = createCancellation(runs, redis);
  const generate = createGenerate({
    models,
    settler,
    // The caller is told by the run; here stands what only the operator may know.
    onFailure(error, runId) {
      logger.warn({ runId, reason: error.reason, err: error.cause }, error.message);
      if (isUnexpected(error.code)) parts.report?.({ error: error.cause, where: "a run", runId });
    },
    onAttempt(answerer, error, runId) {
      const { deployment } = answerer;
      runMetrics?.attempted(answerer, error);
      if (error instanceof Error) {
        logger.debug({ runId, deployment, err: error }, "a deployment failed");
      } else logger.debug({ runId, deployment }, "a deployment answered");
    },
    metrics: runMetrics,
  });
  const admit = createAdmission(limits, finder);
  const lookUp = createAnswerCache({
    store: redis ? createRedisAnswerCache(redis) : createMemoryAnswerCache(),
    findAnswer: runRepository.findAnswer,
    policy: () => ({
      seconds: settings.get(answerCacheSecondsSetting),
      perUser: settings.get(answerCacheScopeSetting) === "user",
      revision: settings.revision(),
    }),
    counters: parts.counters,
  });
  const turn = createTurn({
    admit,
    finder,
    models,
    repository,
    settler,
    budgets,
    runs,
    lookUp,
    generate: traceTurns(generate),
  });
  const sweeper = createSweeper({
    runs,
    runRepository,
    turnRepository: repository,
    models,
    log,
    limits,
    leaseMs: parts.runLeaseMs,
    logger,
    onSettled: (settlement) => runMetrics?.abandoned(settlement),
  });
  return {
    service: createChatService({ turn, models, finder, cancellation, runRepository }),
    personalData: createRunData(postgres, cancellation, log),
    runsInFlight: runs.inFlight,
    answersWaiting: settler.waiting,
    endEarlierRuns: sweeper.endEarlierRuns,
    async close(limitMs, hurry, lastCall) {
      sweeper.stop();
      await runs.drain(limitMs, hurry, lastCall);
    },
  };
}
