import type { Price } from "../providers/catalog.ts";
import type { TokenUsage } from "../providers/provider.ts";

const PRICED_TOKENS = 1_000_000n;

/**
 * What a run cost, in millionths of a US dollar; undefined when the price is not
 * known. Exact: whole numbers all the way, rounded once at the end, half up.
 *
 *   fresh  = inputTokens - cachedInputTokens - cacheWriteTokens
 *   micros = (fresh x input + cachedInputTokens x cachedInput
 *             + cacheWriteTokens x cacheWrite + outputTokens x output) / 1,000,000
 *
 * Reasoning tokens are output tokens already. Above the price's input limit the
 * prices for long inputs hold for the whole request.
 * https://developers.openai.com/api/docs/pricing
 * https://platform.claude.com/docs/en/about-claude/pricing
 */
export function costMicros(price: Price | undefined, usage: TokenUsage): bigint | undefined {
  if (price === undefined) return undefined;
  const { inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens } = usage;
  const { longInput } = price;
  const rates =
    longInput !== undefined && inputTokens > longInput.aboveInputTokens ? longInput : price;
  // A server that counts cached tokens beside its input tokens must not make the rest negative.
  const fresh = Math.max(0, inputTokens - cachedInputTokens - cacheWriteTokens);
  const sum =
    BigInt(fresh) * rates.inputMicros +
    BigInt(cachedInputTokens) * rates.cachedInputMicros +
    BigInt(cacheWriteTokens) * rates.cacheWriteMicros +
    BigInt(outputTokens) * rates.outputMicros;
  return (sum + PRICED_TOKENS / 2n) / PRICED_TOKENS;
}
