import type { Limits } from "../limits/limits.ts";
import type { Models } from "../providers/models.ts";
import { estimateContentTokens } from "../providers/tokens.ts";
import type { Logger } from "../telemetry/logger.ts";
import { affordableUsage, costMicros } from "../usage/cost.ts";
import { createAnswer } from "./answer.ts";
import type { RunLog } from "./run-log.store.ts";
import type { AbandonedRun, RunRepository } from "./run.repository.ts";
import type { Runs } from "./runs.ts";
import type { TurnRepository, TurnSettlement } from "./turn.repository.ts";

export interface SweeperParts {
  runs: Runs;
  runRepository: RunRepository;
  turnRepository: TurnRepository;
  models: Models;
  /** Undefined without Redis: then nothing is known of what had arrived. */
  log: RunLog | undefined;
  /** Keeps the places of the runs that go on. */
  limits?: Pick<Limits, "renew">;
  /** Told of every run that was settled here. */
  onSettled?: (settlement: TurnSettlement) => void;
  logger: Logger;
  /** After which silence a run's process counts as dead; it says six times as often which runs it generates. */
  leaseMs: number;
}

/** Notices runs whose process died, and settles them with what had arrived. */
export interface Sweeper {
  /**
   * Ends at once what ran before. Only for a process that has the database alone and generates
   * nothing yet: then the process of every run that is there has died.
   */
  endEarlierRuns(): Promise<void>;
  stop(): void;
}

/** Begins now. Every process does so; a run is settled by one of them only. */
export function createSweeper(parts: SweeperParts): Sweeper {
  const { runs, runRepository, logger, leaseMs } = parts;
  const renewEveryMs = leaseMs / 6;
  // While the database was away nobody could renew: everyone gets the whole time again.
  let reachableSince: number | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;

  async function beat(): Promise<void> {
    try {
      const runIds = runs.olderThan(renewEveryMs);
      parts.limits?.renew(runIds);
      if (runIds.length > 0) await runRepository.renew(runIds);
      const now = performance.now();
      reachableSince ??= now;
      const abandoned = await runRepository.findAbandoned(leaseMs);
      if (now - reachableSince >= leaseMs) {
        for (const run of abandoned) await settleAbandoned(run, parts);
      }
    } catch (error) {
      reachableSince = undefined;
      logger.debug({ err: error }, "could not look for abandoned runs; trying again");
    }
    if (!stopped) timer = setTimeout(() => void beat(), renewEveryMs).unref();
  }
  void beat();

  return {
    async endEarlierRuns() {
      try {
        for (const run of await runRepository.findAbandoned(0)) await settleAbandoned(run, parts);
      } catch (error) {
        // No reason not to start: when their leases are over it is tried again.
        logger.warn({ err: error }, "could not end the runs of the process before");
      }
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}

async function settleAbandoned(run: AbandonedRun, parts: SweeperParts): Promise<void> {
  const answer = createAnswer();
  const logged = (await parts.log?.read(run.runId, 0).catch(() => [])) ?? [];
  for (const { delta } of logged) answer.add(delta);
  const content = answer.partialContent();
  const tokens = estimateContentTokens(content);
  const choice = parts.models.find(run.model);
  // What the provider counted died with the process: the tokens are estimated.
  const estimate = {
    inputTokens: run.branchTokens,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: tokens,
    reasoningTokens: 0,
  };
  // The whole branch is more than its provider was sent; of a budget it was sent what was reserved.
  const usage = affordableUsage(choice?.price, estimate, run.reservedMicros);
  const settlement: TurnSettlement = {
    ...run,
    sequence: run.sequence + 1,
    status: "interrupted",
    content,
    tokens,
    finishReason: "error",
    provider: choice?.provider ?? "unknown",
    usage,
    costMicros: costMicros(choice?.price, usage),
    priceVersion: choice?.priceVersion ?? "unknown",
    estimated: true,
    isReserved: true,
    errorReason: "RUN_INTERRUPTED",
    errorMessage: "the process that served the run died",
  };
  await parts.turnRepository.settle(settlement);
  parts.onSettled?.(settlement);
  parts.logger.warn({ runId: run.runId }, "settled a run whose process died");
}
