import { defineEntity, type InferEntity, p } from "@mikro-orm/core";
import { ConversationEntity } from "./conversation.entity.ts";
import { messageRoles } from "./message.entity.ts";

/** The words of a message. Only messages that have any are here. */
export const MessageSearchEntity = defineEntity({
  name: "MessageSearch",
  tableName: "message_search",
  properties: {
    messageId: p.uuid().primary(),
    conversationId: () =>
      p
        .manyToOne(ConversationEntity)
        .mapToPk()
        .joinColumn("conversation_id")
        .deleteRule("cascade")
        .index("message_search_conversation_index"),
    userId: p.uuid(),
    role: p.enum(messageRoles),
    createTime: p.datetime(3),
    /** The words with their places, and one that stands for the user: see search.statements.ts. */
    document: p.text().columnType("tsvector"),
  },
  indexes: [
    {
      name: "message_search_document_index",
      expression:
        "create index message_search_document_index on message_search using gin (document)",
    },
  ],
});

/** A row of `message_search`. */
export type MessageSearch = InferEntity<typeof MessageSearchEntity>;

/**
 * Messages whose words are still to be found. A turn only leaves a note here, since
 * taking a text apart costs more than all the rest of storing it.
 */
export const SearchQueueEntity = defineEntity({
  name: "SearchQueue",
  tableName: "search_queue",
  properties: {
    userId: p.uuid().primary(),
    messageId: p.uuid().primary(),
  },
});

/** A row of `search_queue`. */
export type SearchQueue = InferEntity<typeof SearchQueueEntity>;
