import { defineEntity, type InferEntity, p } from "@mikro-orm/core";
import { UserEntity } from "../identity/user.entity.ts";

/** A conversation without its messages. */
export const ConversationEntity = defineEntity({
  name: "Conversation",
  tableName: "conversations",
  properties: {
    /** UUIDv7. */
    id: p.uuid().primary(),
    userId: () => p.manyToOne(UserEntity).mapToPk().joinColumn("user_id"),
    title: p.text().default(""),
    /** The system prompt. */
    system: p.text().nullable(),
    metadata: p.json<Record<string, string>>().default("{}"),
    /** The message that the next turn continues from. */
    headMessageId: p.uuid().nullable(),
    /** The last sequence number given to a message. */
    lastSequence: p.bigint("number").default(0),
    /** Of all its turns, as their providers counted. */
    inputTokens: p.bigint("number").default(0),
    /** Of those, how many came from a provider's cache. */
    cachedInputTokens: p.bigint("number").default(0),
    /** Grows with every change: the etag. */
    version: p.bigint("number").default(1),
    createTime: p.datetime(3).defaultRaw("now()"),
    updateTime: p.datetime(3).defaultRaw("now()"),
  },
  indexes: [
    {
      name: "conversations_recency_index",
      expression:
        "create index conversations_recency_index on conversations (user_id, update_time desc, id desc)",
    },
  ],
});

/** A row of `conversations`. */
export type Conversation = InferEntity<typeof ConversationEntity>;
