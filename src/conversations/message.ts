import type { ContentPart } from "../providers/content.ts";
import type { FinishReason, TokenUsage } from "../providers/provider.ts";

/** A message as it is stored. Messages form a tree by `parentMessageId`. */
export interface StoredMessage {
  /** UUIDv7. */
  messageId: string;
  conversationId: string;
  /** Undefined for a first message. */
  parentMessageId: string | undefined;
  role: "user" | "assistant";
  status: "completed" | "failed" | "cancelled" | "interrupted";
  content: readonly ContentPart[];
  /** Position in the conversation, from 1; numbers may be missing. */
  sequence: number;
  createTime: Date;
  metadata: Readonly<Record<string, string>>;
  /** Answers only. */
  answer: StoredAnswer | undefined;
}

/** What is known of an answer beyond what it says. */
export interface StoredAnswer {
  /** Undefined in a copy of an answer. */
  runId: string | undefined;
  model: string;
  provider: string;
  finishReason: FinishReason | "budget" | "cancelled" | "error" | undefined;
  usage: TokenUsage | undefined;
  /** Millionths of a US dollar; undefined when the price is not known. */
  costMicros: bigint | undefined;
}
