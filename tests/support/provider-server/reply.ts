/** What the provider server answers: a good answer, or one of the ways to fail. */

export interface ReplyUsage {
  /** Without cached and cache-written tokens, as Anthropic counts; the OpenAI wire sends the sum. */
  freshInputTokens: number;
  cachedInputTokens?: number;
  cacheWriteTokens?: number;
  /** Reasoning included. */
  outputTokens: number;
  reasoningTokens?: number;
}

export interface ReplyToolCall {
  id: string;
  name: string;
  /** JSON text, sent in the given pieces. */
  arguments: string | readonly string[];
}

/** A reply; whatever is unset is that of a plain good answer. */
export interface Reply {
  /** The answer, in the pieces in which it is streamed. */
  text?: string | readonly string[];
  /** Thoughts before the answer. */
  reasoning?: string | readonly string[];
  /** Anthropic: the signature of the thoughts. */
  signature?: string;
  /** Anthropic: a block of encrypted thoughts. */
  redacted?: string;
  toolCalls?: readonly ReplyToolCall[];
  /** The wire's own word, such as `stop` or `end_turn`. Default: by content. */
  finishReason?: string;
  /** Default: what was sent and received, estimated. `null`: none is sent. */
  usage?: ReplyUsage | null;
  /** The model that claims to answer. Default: the one asked. */
  model?: string;
  /** Milliseconds between two events. Default: 0. */
  delayMs?: number;

  /** Anything but 200 sends `error` as the body. */
  status?: number;
  /** Body of a bad status, or the error of `errorAfter`; by default the wire's usual one. */
  error?: unknown;
  headers?: Readonly<Record<string, string>>;
  /** The bytes of the body instead of an answer; each piece is a write of its own. */
  raw?: readonly (string | Uint8Array)[];
  /** Cuts the body into writes of so many bytes. */
  bytesPerWrite?: number;

  /** Never answers: before the headers, after them (after the body of a bad status), or after so many events. */
  hang?: "before_headers" | "after_headers" | number;
  /** While hanging, sends a keep-alive comment so often. */
  keepAliveMs?: number;
  /** Ends the body properly after so many events. */
  truncateAfter?: number;
  /** Resets the connection after so many events; 0: before the headers. */
  resetAfter?: number;
  /** Sends an error event after so many events, and ends. */
  errorAfter?: number;
}
