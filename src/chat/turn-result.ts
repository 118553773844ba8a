import type { StoredMessage } from "../conversations/message.ts";

/** A stored turn. */
export interface TurnResult {
  runId: string;
  conversationId: string;
  userMessage: StoredMessage;
  assistantMessage: StoredMessage;
  /** Whether a stored answer was given instead of asking a provider. */
  cached: boolean;
  /** How many deployments were asked. Unset when told from storage. */
  attempts?: number;
}
