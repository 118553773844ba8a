import type { Answerer } from "../providers/model-answer.ts";
import type { ModelDelta, TokenUsage } from "../providers/provider.ts";
import { estimateTokens } from "../providers/tokens.ts";
import { costMicros } from "./cost.ts";
import { highestPrices } from "./cost-bound.ts";

/** What a run has reserved of its budgets, and how much of it is left while it is answered. */
export interface Reservation {
  /** What to ask the provider for at most. */
  readonly maxOutputTokens: number;
  /** Whether that is less than the caller or the model wanted. */
  readonly isCut: boolean;
  /** Output tokens that have arrived, counted one for each piece at least. */
  outputTokens(): number;
  /** Who is asked from now on, whose prices count. */
  asked(answerer: Answerer): void;
  /** What an attempt cost that gave no piece of the answer. */
  spent(answerer: Answerer, usage: TokenUsage): void;
  /** Counts a piece. False: the reservation does not pay for it, so the run must stop without it. */
  take(delta: ModelDelta): boolean;
}

/** What it is made of. */
export interface ReservationParts {
  maxOutputTokens: number;
  isCut: boolean;
  /** All that is reserved. */
  micros: number;
  /** The most input tokens of one attempt. */
  inputTokens: number;
  first: Answerer;
  /** Whether a model without a known price, which costs nothing then, may go on. */
  allowsUnpriced: boolean;
}

const picosPerMicro = 1_000_000n;

/** A reservation as it was granted. */
export function createReservation(parts: ReservationParts): Reservation {
  const { maxOutputTokens, isCut, inputTokens } = parts;
  let left = BigInt(parts.micros) * picosPerMicro;
  let outputTokens = 0;
  let payable = 0;

  function asked({ price }: Answerer) {
    if (price === undefined) {
      payable = parts.allowsUnpriced ? Infinity : 0;
      return;
    }
    const prices = highestPrices(price, inputTokens);
    const forOutput = left - BigInt(inputTokens) * prices.input;
    if (prices.output === 0n) payable = forOutput < 0n ? 0 : Infinity;
    else payable = Number(forOutput / prices.output);
  }
  asked(parts.first);

  return {
    maxOutputTokens,
    isCut,
    outputTokens: () => outputTokens,
    asked,
    spent({ price }, usage) {
      left -= (costMicros(price, usage) ?? 0n) * picosPerMicro;
    },
    take(delta) {
      const more = outputTokens + deltaTokens(delta);
      if (more > payable) return false;
      outputTokens = more;
      return true;
    },
  };
}

/** Rather more than it is: a piece of a word counts as a word, and no piece as nothing. */
function deltaTokens(delta: ModelDelta): number {
  switch (delta.type) {
    case "text":
      return textTokens(delta.text);
    case "reasoning":
      return textTokens(delta.text) + Math.ceil((delta.redacted?.length ?? 0) / 4);
    case "tool_call":
      return (delta.name ? 4 + textTokens(delta.name) : 0) + textTokens(delta.arguments);
  }
}

function textTokens(text: string): number {
  return text === "" ? 0 : Math.max(1, estimateTokens(text));
}
