import type { Postgres } from "../postgres/postgres.ts";
import type { Logger } from "../telemetry/logger.ts";
import { createConversationRepository } from "./conversation.repository.ts";
import { createConversationService } from "./conversation.rpc.ts";
import { createMessageRepository } from "./message.repository.ts";
import { createConversationData } from "./personal-data.repository.ts";
import { createSearchIndexer } from "./search-indexer.ts";
import { createMessageSearchRepository } from "./search.repository.ts";
import type { Vault } from "./vault.ts";

/** Conversations, their messages and their search. */
export function createConversations(postgres: Postgres, vault: Vault, logger: Logger) {
  const search = createMessageSearchRepository(postgres, vault);
  const indexer = createSearchIndexer(search, (error) =>
    logger.debug({ err: error }, "could not look for new messages to search; trying again"),
  );
  const conversations = createConversationRepository(postgres, vault);
  const messages = createMessageRepository(postgres, vault);
  return {
    service: createConversationService({ conversations, messages, search }),
    /** What is kept of users here. */
    personalData: createConversationData(postgres, conversations, messages),
    /** Ends what runs in the background. */
    close: () => indexer.stop(),
  };
}
