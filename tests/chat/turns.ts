import { randomUUIDv7 } from "node:crypto";
import type { OpenedTurn, TurnOpening, TurnSettlement } from "../../src/chat/turn.repository.ts";

/** An opening of a new conversation, unless told otherwise. */
export function opening(userId: string, changes: Partial<TurnOpening> = {}): TurnOpening {
  return {
    runId: randomUUIDv7(),
    userId,
    apiKeyId: undefined,
    conversationId: undefined,
    newConversationId: randomUUIDv7(),
    parentMessageId: undefined,
    userMessageId: randomUUIDv7(),
    assistantMessageId: randomUUIDv7(),
    content: [{ type: "text", text: "Hello" }],
    tokens: 10,
    metadata: {},
    title: "Hello",
    system: undefined,
    model: "demo",
    historyTokens: 100_000,
    idempotencyKey: undefined,
    requestHash: undefined,
    ...changes,
  };
}

/** A whole answer to an opened turn, unless told otherwise. */
export function settlement(
  opening: TurnOpening,
  opened: OpenedTurn,
  changes: Partial<TurnSettlement> = {},
): TurnSettlement {
  return {
    runId: opening.runId,
    conversationId: opened.conversationId,
    userId: opening.userId,
    apiKeyId: opening.apiKeyId,
    userMessageId: opening.userMessageId,
    assistantMessageId: opening.assistantMessageId,
    sequence: opened.sequence + 1,
    status: "completed",
    content: [{ type: "text", text: "Good day" }],
    tokens: 5,
    finishReason: "stop",
    model: "demo-1",
    provider: "demo",
    usage: {
      inputTokens: 12,
      cachedInputTokens: 4,
      cacheWriteTokens: 2,
      outputTokens: 7,
      reasoningTokens: 3,
    },
    costMicros: 1234n,
    priceVersion: "2026-01",
    estimated: false,
    isReserved: false,
    errorReason: undefined,
    errorMessage: undefined,
    ...changes,
  };
}
