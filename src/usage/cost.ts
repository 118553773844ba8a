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

/**
 * The estimated usage with fewer input tokens, and then fewer output tokens, where it would cost
 * more than `micros`; undefined: whatever it costs.
 */
export function affordableUsage(
  price: Price | undefined,
  usage: TokenUsage,
  micros: number | undefined,
): TokenUsage {
  const most = micros === undefined ? undefined : BigInt(micros);
  const costs = (tokens: TokenUsage) => costMicros(price, tokens) ?? 0n;
  if (most === undefined || costs(usage) <= most) return usage;
  const withoutInput = { ...usage, inputTokens: 0 };
  return costs(withoutInput) <= most
    ? {
        ...usage,
        inputTokens: largest(
          usage.inputTokens,
          (inputTokens) => costs({ ...usage, inputTokens }) <= most,
        ),
      }
    : {
        ...withoutInput,
        outputTokens: largest(
          usage.outputTokens,
          (outputTokens) => costs({ ...withoutInput, outputTokens }) <= most,
        ),
      };
}

/** The largest whole number up to `limit` for which it holds, if it holds for 0 and for all below one for which it does. */
function largest(limit: number, holds: (value: number) => boolean): number {
  let low = 0;
  let high = limit;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (holds(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
