/** Who answers a request, and how the one who asked learns of it. */
import type { Price } from "./catalog.ts";
import type { FinishReason, ModelSink, TokenUsage } from "./provider.ts";

/** Who gives an answer, and what it is billed by. */
export interface Answerer {
  /** What callers call the model; a fallback's own name. */
  readonly model: string;
  /** `openai`, `anthropic`, `demo`. */
  readonly provider: string;
  /** Name of the deployment, as health and settings have it. */
  readonly deployment: string;
  /** Undefined: not known. */
  readonly price: Price | undefined;
  /** Which price list `price` is from. */
  readonly priceVersion: string;
}

/** How an answer ended, and who gave it. */
export interface ModelAnswer extends Answerer {
  finishReason: FinishReason;
  /** Of the attempt that succeeded. Undefined when the provider did not say. */
  usage: TokenUsage | undefined;
  /** The model that really answered, as the provider names it. */
  upstreamModel: string;
}

/**
 * Takes an answer that may need several attempts. Pieces come from one attempt
 * only: once there is one, nobody else is asked.
 */
export interface AnswerSink extends ModelSink {
  /** Who is asked from now on: the pieces and the usage that follow are theirs. */
  asked?(answerer: Answerer): void;
  /**
   * Tokens of an attempt that gives no piece of the answer, as its provider told
   * them. Of one that lost a race before its provider told any, the estimated input.
   * Told before the next is asked, or before the answer ends.
   */
  spent?(answerer: Answerer, usage: TokenUsage, isEstimate: boolean): void;
  /** An attempt ended. `error`: what it failed with; undefined: it gave the answer. */
  attempted?(answerer: Answerer, error: unknown): void;
}
