/**
 * The catalogue of models: what a model is called, who serves it, what it can
 * do, and what it costs.
 */

/** Prices in millionths of a US dollar for a million tokens: 2,500,000n is $2.50. */
export interface Price {
  /** Input tokens that came from no cache and were not written to one. */
  inputMicros: bigint;
  /** Input tokens read from the provider's cache. */
  cachedInputMicros: bigint;
  /** Input tokens written to the provider's cache. */
  cacheWriteMicros: bigint;
  /** Output tokens, reasoning included. */
  outputMicros: bigint;
  /** Other prices for the whole of a request with a long input. */
  longInput?: LongInputPrice;
}

/** Holds for all tokens of a request with more than `aboveInputTokens`, cached ones included. */
export interface LongInputPrice extends Omit<Price, "longInput"> {
  aboveInputTokens: number;
}

/** One place that serves a model. */
export interface Deployment {
  /** `openai`, `anthropic` or `demo`. */
  provider: string;
  /** What that provider calls the model. */
  model: string;
}

/** A model as callers know it. What is undefined is not known. */
export interface CatalogModel {
  /** What callers put into `SendMessageRequest.model`. */
  model: string;
  /** Who serves it, the preferred one first. At least one. */
  deployments: readonly Deployment[];
  /** Tokens that question, history and answer share. */
  contextTokens?: number;
  /** The most tokens of one answer. */
  maxOutputTokens?: number;
  /** Takes pictures. */
  images?: boolean;
  /** Calls tools. */
  tools?: boolean;
  /** Keeps to a JSON schema. */
  jsonSchema?: boolean;
  /** Thinks, so that `reasoningEffort` means something to it. */
  reasoning?: boolean;
  price?: Price;
  /** The price list, where it is not the catalogue's. */
  priceVersion?: string;
  /** Milliseconds to the first content, where the usual limit is too short. */
  firstTokenMs?: number;
}

export interface Catalog {
  /** Names the price list, so that every cost can be traced to one. */
  priceVersion: string;
  models: readonly CatalogModel[];
  /** The model to ask when none is named. */
  default?: string;
}
