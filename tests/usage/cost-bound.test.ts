import fc from "fast-check";
import { expect, test } from "vitest";
import type { Price } from "../../src/providers/catalog.ts";
import type { ContentPart } from "../../src/providers/content.ts";
import type { ModelRequest, TokenUsage } from "../../src/providers/provider.ts";
import { estimateRequestTokens } from "../../src/providers/tokens.ts";
import { affordableUsage, costMicros } from "../../src/usage/cost.ts";
import { highestPrices, mostInputTokens } from "../../src/usage/cost-bound.ts";

const text = fc.oneof(fc.string({ unit: "binary" }), fc.lorem(), fc.json());
const part: fc.Arbitrary<ContentPart> = fc.oneof(
  text.map((text) => ({ type: "text" as const, text })),
  text.map((text) => ({ type: "reasoning" as const, text, redacted: text })),
  fc.tuple(text, text).map(([name, args]) => ({
    type: "tool_call" as const,
    toolCallId: "call",
    name,
    arguments: args,
  })),
);
const request: fc.Arbitrary<ModelRequest> = fc
  .tuple(fc.option(text), fc.array(fc.array(part, { maxLength: 4 }), { maxLength: 6 }), text)
  .map(([system, messages, description]) => ({
    model: "any",
    ...(system !== null && { system }),
    messages: messages.map((content) => ({ role: "user", content })),
    tools: [{ name: "look", description, strict: false }],
  }));

const rate = fc.bigInt({ min: 0n, max: 200_000_000n });
const rates = fc.record({
  inputMicros: rate,
  cachedInputMicros: rate,
  cacheWriteMicros: rate,
  outputMicros: rate,
});
const price: fc.Arbitrary<Price> = fc
  .tuple(rates, rates, fc.option(fc.integer({ min: 1, max: 300_000 })))
  .map(([base, long, above]) =>
    above === null ? base : { ...base, longInput: { ...long, aboveInputTokens: above } },
  );
const count = fc.integer({ min: 0, max: 400_000 });
const usage: fc.Arbitrary<TokenUsage> = fc
  .tuple(
    count,
    fc.double({ min: 0, max: 1, noNaN: true }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    count,
  )
  .map(([inputTokens, cached, written, outputTokens]) => {
    const cachedInputTokens = Math.floor(inputTokens * cached);
    const cacheWriteTokens = Math.floor((inputTokens - cachedInputTokens) * written);
    return { inputTokens, cachedInputTokens, cacheWriteTokens, outputTokens, reasoningTokens: 0 };
  });

test("no request is estimated at more tokens than it can have", () => {
  fc.assert(
    fc.property(request, (request) => {
      expect(estimateRequestTokens(request)).toBeLessThanOrEqual(mostInputTokens(request));
    }),
  );
});

test("no usage within its bounds costs more than the bounds do, however it is cached", () => {
  fc.assert(
    fc.property(price, usage, count, (price, usage, more) => {
      const inputTokens = usage.inputTokens + more;
      const { input, output } = highestPrices(price, inputTokens);
      const picos = BigInt(inputTokens) * input + BigInt(usage.outputTokens) * output;
      const reserved = (picos + 999_999n) / 1_000_000n;
      expect(costMicros(price, usage)).toBeLessThanOrEqual(reserved);
    }),
    { numRuns: 1000 },
  );
});

test("a cost is the exact fraction, rounded once, half up", () => {
  fc.assert(
    fc.property(rates, usage, (price, usage) => {
      const fresh = usage.inputTokens - usage.cachedInputTokens - usage.cacheWriteTokens;
      const picos =
        BigInt(fresh) * price.inputMicros +
        BigInt(usage.cachedInputTokens) * price.cachedInputMicros +
        BigInt(usage.cacheWriteTokens) * price.cacheWriteMicros +
        BigInt(usage.outputTokens) * price.outputMicros;
      const cost = costMicros(price, usage) ?? -1n;
      const difference = cost * 1_000_000n - picos;
      expect(difference).toBeGreaterThan(-500_000n);
      expect(difference).toBeLessThanOrEqual(500_000n);
    }),
    { numRuns: 1000 },
  );
});

test("what a dead process's run is billed is the most that its reservation pays", () => {
  fc.assert(
    fc.property(price, usage, fc.integer({ min: 0, max: 50_000_000 }), (price, usage, micros) => {
      const billed = affordableUsage(
        price,
        { ...usage, cachedInputTokens: 0, cacheWriteTokens: 0 },
        micros,
      );
      expect(costMicros(price, billed)).toBeLessThanOrEqual(BigInt(micros));
      expect(billed.inputTokens).toBeLessThanOrEqual(usage.inputTokens);
    }),
  );
  const all = {
    inputTokens: 5,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    outputTokens: 5,
    reasoningTokens: 0,
  };
  expect(affordableUsage(undefined, all, 0)).toBe(all);
});

test("pictures count as the largest there are", () => {
  const image: ContentPart = { type: "image", url: "https://example.com/cat.png" } as ContentPart;
  const messages = [{ role: "user" as const, content: [image] }];
  expect(mostInputTokens({ model: "gpt-4o", messages })).toBeGreaterThan(5_000);
  expect(mostInputTokens({ model: "gpt-4o-mini", messages })).toBeGreaterThan(48_169);
});
