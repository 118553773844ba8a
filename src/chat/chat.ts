import type { ServiceImpl } from "@connectrpc/connect";
import type { ChatService } from "../../gen/tribe/v1/chat_pb.js";
import type { Postgres } from "../postgres/postgres.ts";
import type { Models } from "../providers/models.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createChatService } from "./chat.rpc.ts";
import { createGenerate } from "./generation.ts";
import { createRunFinder } from "./run-finder.ts";
import { createRunRepository } from "./run.repository.ts";
import { createRuns } from "./runs.ts";
import { createSweeper } from "./sweeper.ts";
import { createTurn } from "./turn.ts";
import { createTurnRepository } from "./turn.repository.ts";

/** Everything that makes chat turns. */
export interface Chat {
  service: ServiceImpl<typeof ChatService>;
  /** Runs being generated now. */
  runsInFlight(): number;
  /** Lets the runs end, at most `limitMs`, then stops them; what had arrived is stored. */
  close(limitMs: number): Promise<void>;
}

export function createChat(postgres: Postgres, models: Models, logger: Logger): Chat {
  const repository = createTurnRepository(postgres);
  const runRepository = createRunRepository(postgres);
  const runs = createRuns();
  const finder = createRunFinder(runRepository, runs);
  const generate = createGenerate({
    models,
    repository,
    // The caller is told by the run; here stands what only the operator may know.
    onFailure: (error, runId) =>
      logger.warn({ runId, reason: error.reason, err: error.cause }, error.message),
  });
  const turn = createTurn({ finder, models, repository, runs, generate });
  const sweeper = createSweeper(runRepository, logger);
  return {
    service: createChatService({ turn, models, runs, finder, runRepository }),
    runsInFlight: runs.inFlight,
    async close(limitMs) {
      sweeper.stop();
      await runs.drain(limitMs);
    },
  };
}
