import { toJson } from "@bufbuild/protobuf";
import { ConversationSchema } from "../../gen/tribe/v1/conversation_pb.js";
import { MessageSchema } from "../../gen/tribe/v1/message_pb.js";
import type { Postgres } from "../postgres/postgres.ts";
import type { ConversationCursor, ConversationRepository } from "./conversation.repository.ts";
import type { MessageRepository } from "./message.repository.ts";
import { toProtoConversation, toProtoMessage } from "./message.rpc.ts";

/** Conversations or messages read at a time. */
const batchSize = 100;
/** Conversations erased at a time: long ones take the database a while. */
const eraseBatchSize = 20;

/** What conversations know of a user: everything they wrote and were answered. */
export function createConversationData(
  postgres: Postgres,
  conversations: ConversationRepository,
  messages: MessageRepository,
) {
  async function* messagesOf(userId: string, conversationId: string) {
    let after: number | undefined;
    do {
      const page = await messages.page({
        userId,
        conversationId,
        leafMessageId: undefined,
        newestFirst: false,
        limit: batchSize,
        after,
      });
      if (typeof page === "string") return;
      for (const message of page.messages) {
        yield { record: "message", ...(toJson(MessageSchema, toProtoMessage(message)) as object) };
      }
      after = page.next;
    } while (after !== undefined);
  }

  return {
    /** As objects for JSON lines: each conversation and then its messages. */
    async *export(userId: string): AsyncGenerator<object, void, undefined> {
      let after: ConversationCursor | undefined;
      for (;;) {
        const page = await conversations.list(userId, batchSize, after);
        for (const conversation of page) {
          const json = toJson(ConversationSchema, toProtoConversation(conversation)) as object;
          yield { record: "conversation", ...json };
          yield* messagesOf(userId, conversation.conversationId);
        }
        after = page.at(-1);
        if (page.length < batchSize) return;
      }
    },
    /** With messages, runs and the words that were found in them. */
    async erase(userId: string): Promise<void> {
      for (;;) {
        const erased = await postgres.work((em) =>
          em.execute<unknown[]>(
            `delete from conversations where id in (
               select id from conversations where user_id = ? limit ${eraseBatchSize}
             ) returning 1`,
            [userId],
          ),
        );
        if (erased.length === 0) break;
      }
      await postgres.work((em) =>
        em.execute("delete from search_queue where user_id = ?", [userId]),
      );
    },
  };
}
