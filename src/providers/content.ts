/**
 * What messages are made of, as the turn, the providers and the database share
 * it. The stored JSON of a message's content is exactly an array of these.
 */
export type ContentPart = TextPart | ImagePart | ToolCallPart | ToolResultPart | ReasoningPart;

export interface TextPart {
  type: "text";
  text: string;
}

/** Either `data` (base64, with `mediaType`) or `url` (https). */
export interface ImagePart {
  type: "image";
  mediaType?: string;
  data?: string;
  url?: string;
}

export interface ToolCallPart {
  type: "tool_call";
  /** The provider's id of the call. */
  toolCallId: string;
  name: string;
  /** JSON text as the model wrote it; may be malformed. */
  arguments: string;
}

export interface ToolResultPart {
  type: "tool_result";
  toolCallId: string;
  content: string;
  isError?: boolean;
}

export interface ReasoningPart {
  type: "reasoning";
  text: string;
  /** The provider's proof that the thoughts are its own. */
  signature?: string;
  /** Encrypted thoughts. */
  redacted?: string;
}

/** Whether a text says nothing: no provider answers white space alone, and some refuse it anywhere. */
export function isBlank(text: string): boolean {
  return !/\S/.test(text);
}
