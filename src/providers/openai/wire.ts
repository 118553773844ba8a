/**
 * What servers send in a Chat Completions stream, as far as it is read. Wider
 * than the SDK's types, because compatible servers leave out fields, send null
 * for them, and have some of their own.
 */

export interface WireChunk {
  model?: string | null;
  choices?: readonly WireChoice[] | null;
  usage?: WireUsage | null;
  /** Sent instead of choices when the answer failed after the stream began. */
  error?: WireError | string | null;
}

export interface WireChoice {
  index?: number | null;
  delta?: WireDelta | null;
  finish_reason?: string | null;
  /** Moonshot puts the usage here. */
  usage?: WireUsage | null;
  /** OpenRouter tells of a failing upstream here. */
  error?: WireError | null;
}

export interface WireDelta {
  content?: string | null;
  /** Why the model will not answer (OpenAI, with JSON schemas). */
  refusal?: string | null;
  /** Thoughts, as DeepSeek, vLLM and others name them. */
  reasoning_content?: string | null;
  /** Thoughts, as OpenRouter, Ollama and others name them. */
  reasoning?: string | null;
  tool_calls?: readonly WireToolCall[] | null;
}

export interface WireToolCall {
  index?: number | null;
  id?: string | null;
  function?: { name?: string | null; arguments?: string | null } | null;
}

export interface WireUsage {
  prompt_tokens?: number | null;
  completion_tokens?: number | null;
  prompt_tokens_details?: {
    cached_tokens?: number | null;
    cache_write_tokens?: number | null;
  } | null;
  completion_tokens_details?: { reasoning_tokens?: number | null } | null;
  /** DeepSeek's name for cached tokens. */
  prompt_cache_hit_tokens?: number | null;
}

export interface WireError {
  message?: string | null;
  type?: string | null;
  code?: string | number | null;
}
