import type { Timestamp } from "@bufbuild/protobuf/wkt";
import type { Conversation } from "../../gen/tribe/v1/conversation_pb.js";
import {
  FinishReason,
  type Message,
  MessageRole,
  MessageStatus,
  type Usage,
} from "../../gen/tribe/v1/message_pb.js";
import type { TokenUsage } from "../providers/provider.ts";
import { invalidField } from "../errors.ts";
import { toProtoContent } from "./content.rpc.ts";
import type { StoredConversation } from "./conversation.repository.ts";
import type { StoredAnswer, StoredMessage } from "./message.ts";

const roles = { user: MessageRole.USER, assistant: MessageRole.ASSISTANT };

const statuses = {
  completed: MessageStatus.COMPLETED,
  failed: MessageStatus.FAILED,
  cancelled: MessageStatus.CANCELLED,
  interrupted: MessageStatus.INTERRUPTED,
};

const finishReasons = {
  stop: FinishReason.STOP,
  length: FinishReason.LENGTH,
  tool_calls: FinishReason.TOOL_CALLS,
  content_filter: FinishReason.CONTENT_FILTER,
  budget: FinishReason.BUDGET,
  cancelled: FinishReason.CANCELLED,
  error: FinishReason.ERROR,
};

/** A conversation, for a caller. */
export function toProtoConversation(stored: StoredConversation): Conversation {
  return {
    $typeName: "tribe.v1.Conversation",
    conversationId: stored.conversationId,
    title: stored.title,
    system: stored.system ?? "",
    metadata: stored.metadata,
    headMessageId: stored.headMessageId ?? "",
    createTime: toProtoTimestamp(stored.createTime),
    updateTime: toProtoTimestamp(stored.updateTime),
    etag: stored.etag,
    inputTokens: BigInt(stored.inputTokens),
    cachedInputTokens: BigInt(stored.cachedInputTokens),
  };
}

/** A stored message, for a caller. */
export function toProtoMessage(stored: StoredMessage): Message {
  const { answer } = stored;
  return {
    $typeName: "tribe.v1.Message",
    messageId: stored.messageId,
    conversationId: stored.conversationId,
    parentMessageId: stored.parentMessageId ?? "",
    role: roles[stored.role],
    status: statuses[stored.status],
    content: toProtoContent(stored.content),
    sequence: BigInt(stored.sequence),
    createTime: toProtoTimestamp(stored.createTime),
    runId: answer?.runId ?? "",
    model: answer?.model ?? "",
    provider: answer?.provider ?? "",
    finishReason: toProtoFinishReason(answer?.finishReason),
    usage: answer?.usage && toProtoUsage(answer.usage),
    costMicros: answer?.costMicros,
    metadata: stored.metadata,
  };
}

/** Undefined is UNSPECIFIED. */
export function toProtoFinishReason(reason: StoredAnswer["finishReason"]): FinishReason {
  return reason === undefined ? FinishReason.UNSPECIFIED : finishReasons[reason];
}

/** The role that a message must have; undefined for UNSPECIFIED. */
export function fromProtoRole(role: MessageRole): StoredMessage["role"] | undefined {
  if (role === MessageRole.USER) return "user";
  return role === MessageRole.ASSISTANT ? "assistant" : undefined;
}

/** Tokens as a provider counted them, for a caller. */
export function toProtoUsage(usage: TokenUsage): Usage {
  return {
    $typeName: "tribe.v1.Usage",
    inputTokens: BigInt(usage.inputTokens),
    cachedInputTokens: BigInt(usage.cachedInputTokens),
    cacheWriteTokens: BigInt(usage.cacheWriteTokens),
    outputTokens: BigInt(usage.outputTokens),
    reasoningTokens: BigInt(usage.reasoningTokens),
  };
}

/** A point in time, for a caller. */
export function toProtoTimestamp(time: Date): Timestamp {
  const milliseconds = time.getTime();
  const seconds = Math.floor(milliseconds / 1000);
  return {
    $typeName: "google.protobuf.Timestamp",
    seconds: BigInt(seconds),
    nanos: (milliseconds - seconds * 1000) * 1_000_000,
  };
}

/** Undefined stays so. Throws INVALID_ARGUMENT naming the field for what no Timestamp may be. */
export function fromProtoTimestamp(time: Timestamp | undefined, field: string): Date | undefined {
  if (time === undefined) return undefined;
  const milliseconds = Number(time.seconds) * 1000 + time.nanos / 1_000_000;
  const date = new Date(Math.floor(milliseconds));
  if (!(date.getTime() >= firstTime && date.getTime() <= lastTime)) {
    throw invalidField(field, "is not between the years 1 and 9999");
  }
  return date;
}

const firstTime = Date.parse("0001-01-01T00:00:00Z");
const lastTime = Date.parse("9999-12-31T23:59:59.999Z");
