import type { TokenUsage } from "../provider.ts";
import type { WireUsage } from "./wire.ts";

/** `prompt_tokens` and `completion_tokens` are totals; the details are parts of them. */
export function mapUsage(usage: WireUsage): TokenUsage {
  const prompt = usage.prompt_tokens_details;
  return {
    inputTokens: usage.prompt_tokens ?? 0,
    cachedInputTokens: prompt?.cached_tokens ?? usage.prompt_cache_hit_tokens ?? 0,
    cacheWriteTokens: prompt?.cache_write_tokens ?? 0,
    outputTokens: usage.completion_tokens ?? 0,
    reasoningTokens: usage.completion_tokens_details?.reasoning_tokens ?? 0,
  };
}
