import * as fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Price } from "../../src/providers/catalog.ts";
import type { TokenUsage } from "../../src/providers/provider.ts";
import { costMicros, ratesByKind, tokenKinds, tokensByKind } from "../../src/usage/cost.ts";

const price: Price = {
  inputMicros: 2_500_000n,
  cachedInputMicros: 1_250_000n,
  cacheWriteMicros: 3_125_000n,
  outputMicros: 10_000_000n,
};
function usage(tokens: Partial<TokenUsage>): TokenUsage {
  return {
    inputTokens: 0,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: 0,
    reasoningTokens: 0,
    ...tokens,
  };
}

describe("costMicros", () => {
  test("is undefined, not zero, when the price is not known", () => {
    expect(costMicros(undefined, usage({ inputTokens: 1000 }))).toBeUndefined();
  });

  test("prices fresh, cached, written and output tokens each at their own rate", () => {
    const tokens = usage({
      inputTokens: 1000,
      cachedInputTokens: 400,
      cacheWriteTokens: 100,
      outputTokens: 50,
      reasoningTokens: 20,
    });
    // 500 x 2.5 + 400 x 1.25 + 100 x 3.125 + 50 x 10 = 2,562.5 micros
    expect(costMicros(price, tokens)).toBe(2563n);
  });

  test("rounds once, at the end, half up", () => {
    const cheap = { ...price, inputMicros: 100_000n, outputMicros: 500_000n };
    expect(costMicros(cheap, usage({ inputTokens: 4 }))).toBe(0n);
    expect(costMicros(cheap, usage({ inputTokens: 5 }))).toBe(1n);
    // Neither 0.4 nor 0.5 alone, but 0.9 together.
    expect(costMicros(cheap, usage({ inputTokens: 4, outputTokens: 1 }))).toBe(1n);
  });

  test("prices the whole request as a long one above the limit only", () => {
    const long: Price = {
      ...price,
      longInput: {
        aboveInputTokens: 1000,
        inputMicros: 5_000_000n,
        cachedInputMicros: 0n,
        cacheWriteMicros: 0n,
        outputMicros: 20_000_000n,
      },
    };
    expect(costMicros(long, usage({ inputTokens: 1000, outputTokens: 1 }))).toBe(2510n);
    expect(costMicros(long, usage({ inputTokens: 1001, outputTokens: 1 }))).toBe(5025n);
  });

  test("never makes the fresh tokens negative", () => {
    expect(costMicros(price, usage({ inputTokens: 10, cachedInputTokens: 20 }))).toBe(25n);
  });

  test("agrees with exact fractions for any price and usage", () => {
    const rate = fc.bigInt(0n, 200_000_000n);
    const count = fc.integer({ min: 0, max: 10_000_000 });
    fc.assert(
      fc.property(rate, rate, rate, rate, count, count, count, count, (a, b, c, d, w, x, y, z) => {
        const cost = costMicros(
          { inputMicros: a, cachedInputMicros: b, cacheWriteMicros: c, outputMicros: d },
          usage({
            inputTokens: w + x + y,
            cachedInputTokens: x,
            cacheWriteTokens: y,
            outputTokens: z,
          }),
        );
        const exact = BigInt(w) * a + BigInt(x) * b + BigInt(y) * c + BigInt(z) * d;
        const difference = 2n * (exact - (cost ?? -1n) * 1_000_000n);
        expect(difference >= -1_000_000n && difference < 1_000_000n).toBe(true);
      }),
    );
  });
});

describe("tokens and rates by kind", () => {
  test("come to what the run cost, and to all its tokens", () => {
    const count = fc.nat({ max: 5_000 });
    fc.assert(
      fc.property(
        fc.record({
          fresh: count,
          cachedInputTokens: count,
          cacheWriteTokens: count,
          plain: count,
          reasoningTokens: count,
        }),
        ({ fresh, plain, ...rest }) => {
          const tokens = usage({
            ...rest,
            inputTokens: fresh + rest.cachedInputTokens + rest.cacheWriteTokens,
            outputTokens: plain + rest.reasoningTokens,
          });
          const kinds = tokensByKind(tokens);
          const rates = ratesByKind(price, tokens.inputTokens);
          const sum = (of: (kind: (typeof tokenKinds)[number]) => number) =>
            tokenKinds.reduce((total, kind) => total + of(kind), 0);
          expect(sum((kind) => kinds[kind])).toBe(tokens.inputTokens + tokens.outputTokens);
          const micros = sum((kind) => kinds[kind] * rates[kind]) / 1e6;
          expect(Math.abs(micros - Number(costMicros(price, tokens)))).toBeLessThanOrEqual(0.5);
        },
      ),
    );
  });
});
