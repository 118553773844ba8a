import type { Postgres } from "../postgres/postgres.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createConversationRepository } from "./conversation.repository.ts";
import { createConversationService } from "./conversation.rpc.ts";
import { createMessageRepository } from "./message.repository.ts";
import { createConversationData } from "./personal-data.repository.ts";
import { createSearchIndexer } from "./search-indexer.ts";
import { createMessageSearchRepository } from "./search.repository.ts";

/** Conversations, their messages and their search. */
export function createConversations(postgres: Postgres, logger: Logger) {
  const search = createMessageSearchRepository(postgres);
  const indexer = createSearchIndexer(search, (error) =>
    logger.debug({ err: error }, "could not look for new messages to search; trying again"),
  );
  const conversations = createConversationRepository(postgres);
  const messages = createMessageRepository(postgres);
  return {
    service: createConversationService({ conversations, messages, search }),
    /** What is kept of users here. */
    personalData: createConversationData(postgres, conversations, messages),
    /** Ends what runs in the background. */
    close: () => indexer.stop(),
  };
}
