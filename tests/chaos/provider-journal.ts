/** What the provider of a drill keeps account of, and how it is spoken to. */
import type { PlannedReply } from "./plan.ts";

/** One call that the provider got. */
export interface ProviderCall {
  /** Which operation's question it was. */
  operation: number;
  /** The how-many-eth call for that operation, from 0. */
  attempt: number;
  wire: "openai" | "anthropic";
  reply: PlannedReply;
  /** As it counts them. */
  inputTokens: number;
  /** The pieces that were sent, each of them one token. */
  sent: string[];
  /** Whether the usage of the input was sent, before any piece: Anthropic does so. */
  toldInput: boolean;
  /** Whether the whole answer and its usage were sent: what it would put on the bill. */
  isWhole: boolean;
  /** Whether the client may still be listening. */
  isOpen: boolean;
}

/** To the provider's process. */
export type ProviderOrder =
  { order: "script"; replies: Record<number, PlannedReply[]> } | { order: "journal" };

/** From it. */
export type ProviderNews =
  { news: "listening"; port: number } | { news: "journal"; calls: ProviderCall[] };
