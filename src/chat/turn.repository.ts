import type { ContentPart } from "../providers/content.ts";
import type { FinishReason, TokenUsage } from "../providers/provider.ts";

/** A message as the context of a turn needs it. */
export interface HistoryMessage {
  messageId: string;
  role: "user" | "assistant";
  content: ContentPart[];
  /** Estimated tokens, at least what the provider will count. */
  tokens: number;
}

/** What is known when a turn begins. All ids are UUIDv7 made by the caller. */
export interface TurnOpening {
  runId: string;
  userId: string;
  apiKeyId: string | undefined;
  /** Undefined: make `newConversationId`. */
  conversationId: string | undefined;
  newConversationId: string;
  /** Undefined: the conversation's head. */
  parentMessageId: string | undefined;
  userMessageId: string;
  assistantMessageId: string;
  content: readonly ContentPart[];
  tokens: number;
  metadata: Readonly<Record<string, string>>;
  /** For a new conversation. */
  title: string;
  /** For a new conversation. */
  system: string | undefined;
  model: string;
  /** History is read from the parent upwards until it has this many tokens. */
  historyTokens: number;
  idempotencyKey: string | undefined;
  /** SHA-256 of the request; only with idempotencyKey. */
  requestHash: Uint8Array | undefined;
}

/** What the database says to that. */
export interface OpenedTurn {
  conversationId: string;
  parentMessageId: string | undefined;
  /** The system prompt of the conversation. */
  system: string | undefined;
  /** Sequence of the user message; the answer's is the next one. */
  sequence: number;
  createTime: Date;
  /** The branch that the message continues, the oldest first, without the new message. */
  history: HistoryMessage[];
}

export type OpeningRefusal =
  | { refused: "conversation_not_found" }
  | { refused: "parent_not_found" }
  /** Another run has this idempotency key. */
  | { refused: "idempotency_key_taken" };

export type TurnStatus = "completed" | "failed" | "cancelled" | "interrupted";

/** How a turn ended. */
export interface TurnSettlement {
  runId: string;
  conversationId: string;
  userId: string;
  apiKeyId: string | undefined;
  userMessageId: string;
  assistantMessageId: string;
  /** Sequence of the answer. */
  sequence: number;
  status: TurnStatus;
  content: readonly ContentPart[];
  tokens: number;
  finishReason: FinishReason | "cancelled" | "error";
  model: string;
  provider: string;
  usage: TokenUsage;
  /** Undefined: the price is not known. */
  costMicros: bigint | undefined;
  /** Which price table the cost was computed from. */
  priceVersion: string;
  errorReason: string | undefined;
  errorMessage: string | undefined;
}

/** The two statements of the hot path, and what belongs to them. */
export interface TurnRepository {
  /**
   * One statement, one round trip: makes or locks the conversation, takes two
   * sequence numbers, stores the user message and the run, and reads the branch.
   * Refused: nothing is stored.
   */
  open(opening: TurnOpening): Promise<OpenedTurn | OpeningRefusal>;
  /** Takes back an opening whose context turned out to be impossible. */
  discard(runId: string): Promise<void>;
  /**
   * One statement, one transaction: stores the answer, the usage row and the
   * run's end, and makes the answer the conversation's head. Settling a run twice changes
   * nothing. When the conversation was deleted meanwhile, only the usage is kept.
   * Returns when the answer was stored.
   */
  settle(settlement: TurnSettlement): Promise<Date>;
}
