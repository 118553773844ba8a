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
  const rates = ratesOf(price, inputTokens);
  // A server that counts cached tokens beside its input tokens must not make the rest negative.
  const fresh = Math.max(0, inputTokens - cachedInputTokens - cacheWriteTokens);
  const sum =
    BigInt(fresh) * rates.inputMicros +
    BigInt(cachedInputTokens) * rates.cachedInputMicros +
    BigInt(cacheWriteTokens) * rates.cacheWriteMicros +
    BigInt(outputTokens) * rates.outputMicros;
  return (sum + PRICED_TOKENS / 2n) / PRICED_TOKENS;
}

/** The kinds of tokens, none of which contains another. */
export const tokenKinds = ["input", "cached_input", "cache_write", "output", "reasoning"] as const;
export type TokenKind = (typeof tokenKinds)[number];

/** Tokens by kind; together they are all of them. */
export function tokensByKind(usage: TokenUsage): Record<TokenKind, number> {
  const { inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens, reasoningTokens } = usage;
  return {
    input: Math.max(0, inputTokens - cachedInputTokens - cacheWriteTokens),
    cached_input: cachedInputTokens,
    cache_write: cacheWriteTokens,
    output: Math.max(0, outputTokens - reasoningTokens),
    reasoning: reasoningTokens,
  };
}

/**
 * What a million tokens of each kind cost in a request with so much input, millionths of a US
 * dollar: for shares of a cost, where a rounding error is no harm.
 */
export function ratesByKind(price: Price, inputTokens: number): Record<TokenKind, number> {
  const { inputMicros, cachedInputMicros, cacheWriteMicros, outputMicros } = ratesOf(
    price,
    inputTokens,
  );
  const output = Number(outputMicros);
  return {
    input: Number(inputMicros),
    cached_input: Number(cachedInputMicros),
    cache_write: Number(cacheWriteMicros),
    output,
    reasoning: output,
  };
}

function ratesOf(price: Price, inputTokens: number): Omit<Price, "longInput"> {
  const { longInput } = price;
  return longInput !== undefined && inputTokens > longInput.aboveInputTokens ? longInput : price;
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
