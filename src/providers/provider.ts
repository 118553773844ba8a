/** The port that every provider fulfils. */
import type { ContentPart } from "./content.ts";

/** One message for a model. Tool results are parts of user messages. */
export interface ModelMessage {
  role: "user" | "assistant";
  content: readonly ContentPart[];
}

/** A function that the model may ask for. */
export interface ModelTool {
  name: string;
  description: string;
  /** JSON schema of the arguments. */
  parameters?: Record<string, unknown>;
  strict: boolean;
}

export type ModelToolChoice = { mode: "auto" | "none" | "required" } | { toolName: string };

export type ModelResponseFormat =
  | { type: "json_object" }
  | { type: "json_schema"; name: string; schema: Record<string, unknown>; strict: boolean };

export type ReasoningEffort = "none" | "minimal" | "low" | "medium" | "high";

/** Everything that a provider is asked. Unset means the provider's default. */
export interface ModelRequest {
  /** The provider's own name of the model. */
  model: string;
  system?: string;
  messages: readonly ModelMessage[];
  temperature?: number;
  maxOutputTokens?: number;
  stop?: readonly string[];
  tools?: readonly ModelTool[];
  toolChoice?: ModelToolChoice;
  /** Unset: text. */
  responseFormat?: ModelResponseFormat;
  reasoningEffort?: ReasoningEffort;
  /** Requests with the same id begin alike, as those of one conversation do. Never a person's id. */
  threadId?: string;
}

/** Tokens as the provider counted them. */
export interface TokenUsage {
  /** All input tokens, cached ones included. */
  inputTokens: number;
  /** Those of inputTokens read from the provider's cache. */
  cachedInputTokens: number;
  /** Those of inputTokens written to the provider's cache. */
  cacheWriteTokens: number;
  /** All output tokens, reasoning included. */
  outputTokens: number;
  /** Those of outputTokens spent on reasoning. */
  reasoningTokens: number;
}

export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter";

/** A piece of an answer, in the order in which the provider sent it. */
export type ModelDelta =
  | { type: "text"; text: string }
  | { type: "reasoning"; text: string; signature?: string; redacted?: string }
  | { type: "tool_call"; index: number; toolCallId?: string; name?: string; arguments: string };

/** How an answer ended. */
export interface ModelResult {
  finishReason: FinishReason;
  /** Undefined when the provider did not say, as some compatible servers do. */
  usage: TokenUsage | undefined;
  /** The model that really answered, as the provider names it. */
  model: string;
}

/** Takes the pieces of an answer while they arrive. Must not throw. */
export interface ModelSink {
  delta(delta: ModelDelta): void;
  /** Usage known so far; called whenever the provider tells more. */
  usage(usage: TokenUsage): void;
}

export interface Provider {
  /** `openai`, `anthropic`, `demo`. */
  readonly name: string;
  /**
   * Throws INVALID_ARGUMENT, naming the request field, for whatever this
   * provider cannot do. Called before anything is stored, so that nothing is
   * silently dropped.
   */
  check(request: ModelRequest): void;
  /**
   * Asks the provider, streaming. Resolves only when the provider has sent its
   * own end of the answer; a stream that just stops is a failure. Rejects with
   * a DomainError that says whose fault it was, or with `signal.reason`.
   */
  answer(request: ModelRequest, sink: ModelSink, signal: AbortSignal): Promise<ModelResult>;
}

/** A provider with connections to close. */
export interface ClosableProvider extends Provider {
  /** Breaks off the calls under way. */
  close(): Promise<void>;
}
