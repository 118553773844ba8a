import { describe, expect, it } from "vitest";
import { createAnswerAccount } from "../../src/chat/answer-account.ts";
import type { Price } from "../../src/providers/catalog.ts";
import type { Answerer } from "../../src/providers/model-answer.ts";
import type { TokenUsage } from "../../src/providers/provider.ts";

function priceOf(dollars: bigint): Price {
  const micros = dollars * 1_000_000n;
  return {
    inputMicros: micros,
    cachedInputMicros: micros,
    cacheWriteMicros: micros,
    outputMicros: micros,
  };
}
function answererOf(model: string, price: Price | undefined): Answerer {
  return { model, provider: "openai", deployment: `${model}/openai`, price, priceVersion: model };
}
function tokens(inputTokens: number, outputTokens: number): TokenUsage {
  return {
    inputTokens,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    outputTokens,
    reasoningTokens: 0,
  };
}
const cheap = answererOf("cheap", priceOf(1n));
const dear = answererOf("dear", priceOf(10n));
const estimate = () => tokens(7, 7);

describe("the account of an answer", () => {
  it("bills who answered, at that price", () => {
    const account = createAnswerAccount(cheap);
    account.asked(cheap);
    account.attempted(cheap, new Error("overloaded"));
    account.asked(dear);
    account.usage(tokens(100, 10));
    account.attempted(dear, undefined);
    expect(account.attempts()).toBe(2);
    expect(account.bill(true, estimate)).toEqual({
      model: "dear",
      provider: "openai",
      priceVersion: "dear",
      usage: tokens(100, 10),
      costMicros: 1100n,
      estimated: false,
    });
  });

  it("counts what arrived of an answer that broke off, since its provider had not told that yet", () => {
    const account = createAnswerAccount(cheap);
    account.asked(cheap);
    account.usage(tokens(100, 1));
    expect(account.bill(false, estimate)).toMatchObject({
      usage: tokens(100, 7),
      costMicros: 107n,
      estimated: true,
    });
    account.usage(tokens(100, 9));
    expect(account.bill(false, estimate)).toMatchObject({ usage: tokens(100, 9) });
  });

  it("calls nothing an estimate where nothing was spent", () => {
    const account = createAnswerAccount(cheap);
    const bill = account.bill(false, () => tokens(0, 0));
    expect(bill).toMatchObject({ costMicros: 0n, estimated: false });
  });

  it("adds what failed attempts had spent, each at its own price", () => {
    const account = createAnswerAccount(cheap);
    account.asked(cheap);
    account.usage(tokens(50, 1));
    account.spent(cheap, tokens(50, 1), false);
    account.asked(dear);
    account.usage(tokens(100, 10));
    expect(account.bill(true, estimate)).toMatchObject({
      model: "dear",
      usage: tokens(150, 11),
      costMicros: 51n + 1100n,
    });
  });

  it("estimates what the provider did not tell, never from an earlier attempt", () => {
    const account = createAnswerAccount(cheap);
    account.asked(cheap);
    account.usage(tokens(50, 1));
    account.asked(dear);
    expect(account.bill(true, estimate)).toMatchObject({
      usage: tokens(7, 7),
      costMicros: 140n,
      estimated: true,
    });
  });

  it("has no cost when any price is not known", () => {
    const account = createAnswerAccount(answererOf("unknown", undefined));
    expect(account.bill(true, estimate)).toMatchObject({ model: "unknown", costMicros: undefined });
    account.asked(dear);
    account.spent(answererOf("unknown", undefined), tokens(1, 1), false);
    expect(account.bill(true, estimate)).toMatchObject({ model: "dear", costMicros: undefined });
  });
});
