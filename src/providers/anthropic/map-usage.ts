import type { TokenUsage } from "../provider.ts";
import type { WireUsage } from "./wire.ts";

const NOTHING: TokenUsage = {
  inputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
};

/**
 * `input_tokens` leaves out what was read from and written to the cache, so the
 * total is the sum of the three. The counts of `message_delta` are cumulative,
 * and it may leave out those that have not changed since `message_start`.
 */
export function mapUsage(usage: WireUsage, earlier: TokenUsage = NOTHING): TokenUsage {
  const cachedInputTokens = usage.cache_read_input_tokens ?? earlier.cachedInputTokens;
  const cacheWriteTokens = usage.cache_creation_input_tokens ?? earlier.cacheWriteTokens;
  const freshTokens =
    usage.input_tokens ??
    earlier.inputTokens - earlier.cachedInputTokens - earlier.cacheWriteTokens;
  return {
    inputTokens: freshTokens + cachedInputTokens + cacheWriteTokens,
    cachedInputTokens,
    cacheWriteTokens,
    outputTokens: usage.output_tokens ?? earlier.outputTokens,
    reasoningTokens: usage.output_tokens_details?.thinking_tokens ?? earlier.reasoningTokens,
  };
}
