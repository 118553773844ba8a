import type { Answerer, AnswerSink } from "../providers/model-answer.ts";
import type { TokenUsage } from "../providers/provider.ts";
import { costMicros } from "../usage/cost.ts";

/** What a run is billed: who answered, all tokens of all attempts, each at its own price. */
export interface AnswerBill {
  model: string;
  provider: string;
  usage: TokenUsage;
  /** Undefined when a price is not known. */
  costMicros: bigint | undefined;
  /** Which price list the answer's price is from. */
  priceVersion: string;
  /** Whether any of the tokens are an estimate. */
  estimated: boolean;
}

/** Keeps account of an answer while it is made. */
export interface AnswerAccount extends Required<Omit<AnswerSink, "delta">> {
  /** How many attempts have ended. */
  attempts(): number;
  /**
   * The bill. `estimate` stands in when the provider of the answer did not tell its usage. Of an
   * answer that broke off a provider tells its output only at the end, so what arrived is counted.
   */
  bill(isWhole: boolean, estimate: () => TokenUsage): AnswerBill;
}

/** `first` is billed when nobody could be asked. */
export function createAnswerAccount(first: Answerer): AnswerAccount {
  let answerer = first;
  let known: TokenUsage | undefined;
  let attempts = 0;
  // Almost every answer needs one attempt.
  let earlier: { answerer: Answerer; usage: TokenUsage; isEstimate: boolean }[] | undefined;

  return {
    attempts: () => attempts,
    asked(next) {
      answerer = next;
      known = undefined;
    },
    attempted() {
      attempts += 1;
    },
    usage(usage) {
      known = usage;
    },
    spent(by, usage, isEstimate) {
      (earlier ??= []).push({ answerer: by, usage, isEstimate });
    },
    bill(isWhole, estimate) {
      const { model, provider, price, priceVersion } = answerer;
      const bill = { model, provider, priceVersion };
      const estimated = isWhole && known ? undefined : estimate();
      let usage = known ?? estimated ?? NOTHING;
      if (known && estimated && estimated.outputTokens > known.outputTokens) {
        usage = { ...known, outputTokens: estimated.outputTokens };
      }
      let isEstimated = estimated !== undefined && isAnything(estimated);
      let cost = costMicros(price, usage);
      for (const attempt of earlier ?? []) {
        const more = costMicros(attempt.answerer.price, attempt.usage);
        cost = cost === undefined || more === undefined ? undefined : cost + more;
        usage = sum(usage, attempt.usage);
        isEstimated ||= attempt.isEstimate;
      }
      return { ...bill, usage, costMicros: cost, estimated: isEstimated };
    },
  };
}

const NOTHING: TokenUsage = {
  inputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
};

function isAnything({ inputTokens, outputTokens }: TokenUsage): boolean {
  return inputTokens + outputTokens > 0;
}

function sum(one: TokenUsage, other: TokenUsage): TokenUsage {
  return {
    inputTokens: one.inputTokens + other.inputTokens,
    cachedInputTokens: one.cachedInputTokens + other.cachedInputTokens,
    cacheWriteTokens: one.cacheWriteTokens + other.cacheWriteTokens,
    outputTokens: one.outputTokens + other.outputTokens,
    reasoningTokens: one.reasoningTokens + other.reasoningTokens,
  };
}
