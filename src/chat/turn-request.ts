import type { ContentPart } from "../providers/content.ts";
import type { ModelRequest } from "../providers/provider.ts";

/** What a caller wants answered; SendMessageRequest in the turn's own words. */
export interface TurnRequest {
  /** Undefined: a new conversation. */
  conversationId: string | undefined;
  /** Undefined: the conversation's head. */
  parentMessageId: string | undefined;
  content: ContentPart[];
  /** Undefined: the server's default. */
  model: string | undefined;
  /** How to answer: everything that goes to the provider beside the messages. */
  parameters: Omit<ModelRequest, "model" | "messages">;
  /** Whether the provider is asked also if the same was answered before. */
  bypassCache: boolean;
  metadata: Record<string, string>;
  idempotencyKey: string | undefined;
  /** SHA-256 of the whole request; only with an idempotency key. */
  requestHash: Uint8Array | undefined;
}
