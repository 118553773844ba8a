import { defineEntity, type InferEntity, p } from "@mikro-orm/core";
import type { ContentPart } from "../providers/content.ts";
import { ConversationEntity } from "./conversation.entity.ts";

/** Who may have written a message. */
export const messageRoles = ["user", "assistant"] as const;

/** Whether a message is whole. */
export const messageStatuses = ["completed", "failed", "cancelled", "interrupted"] as const;

/** Why a model may have stopped. */
export const finishReasons = [
  "stop",
  "length",
  "tool_calls",
  "content_filter",
  "budget",
  "cancelled",
  "error",
] as const;

/**
 * One message. Messages form a tree by `parentId`, which has no foreign key: the
 * statements that write messages check it, and messages are deleted only
 * together with their conversation.
 */
export const MessageEntity = defineEntity({
  name: "Message",
  tableName: "messages",
  properties: {
    /** UUIDv7. */
    id: p.uuid().primary(),
    conversationId: () =>
      p.manyToOne(ConversationEntity).mapToPk().joinColumn("conversation_id").deleteRule("cascade"),
    parentId: p.uuid().nullable(),
    role: p.enum(messageRoles),
    status: p.enum(messageStatuses),
    content: p.json<ContentPart[]>(),
    /** Estimated, at least what a provider will count. */
    tokens: p.integer(),
    /** Position in the conversation, from 1; numbers may be missing. */
    sequence: p.bigint("number"),
    /** How many messages its branch has up to here: 1 for a first message. */
    depth: p.integer(),
    /** An ancestor further up, and its depth: see branch.ts. Null and 0 above the first. */
    jumpId: p.uuid().nullable(),
    jumpDepth: p.integer(),
    /** From here to `costMicros`: answers only. */
    runId: p.uuid().nullable(),
    model: p.text().nullable(),
    provider: p.text().nullable(),
    finishReason: p.enum(finishReasons).nullable(),
    inputTokens: p.bigint("number").nullable(),
    cachedInputTokens: p.bigint("number").nullable(),
    cacheWriteTokens: p.bigint("number").nullable(),
    outputTokens: p.bigint("number").nullable(),
    reasoningTokens: p.bigint("number").nullable(),
    /** Millionths of a US dollar; null when the price is not known. */
    costMicros: p.bigint("bigint").nullable(),
    /** User messages only. */
    metadata: p.json<Record<string, string>>().nullable(),
    createTime: p.datetime(3).defaultRaw("now()"),
  },
  uniques: [{ name: "messages_order_unique", properties: ["conversationId", "sequence"] }],
});

/** A row of `messages`. */
export type Message = InferEntity<typeof MessageEntity>;
