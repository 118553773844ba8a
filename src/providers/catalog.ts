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
  /** Tells deployments apart in logs, health and settings. Default: `model/provider`, numbered from the second on. */
  name?: string;
  /** An account of its own instead of the environment's. */
  account?: DeploymentAccount;
  /** Its share of the calls among those of the same order, 1 to 1,000. Default: 1. */
  weight?: number;
  /** Those of the lowest order get the calls while any of them is well. Default: 0. */
  order?: number;
}

/** A key and a server of a deployment's own. */
export interface DeploymentAccount {
  /** Undefined: the server needs none. */
  apiKey?: string;
  /** Undefined: the provider's, as the environment has it. */
  baseUrl?: string;
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
  /** Milliseconds to the first content, where the usual limit does not fit. */
  firstTokenMs?: number;
  /** Milliseconds from one content to the next, likewise. */
  idleMs?: number;
  /** Milliseconds for the whole answer, all attempts included, likewise. */
  totalMs?: number;
  /** The models that answer in its place when no deployment of it can, the preferred one first. */
  fallbacks?: readonly string[];
  /** Asks a second deployment too when the first has sent nothing for so many milliseconds. Default: never. */
  hedgeAfterMs?: number;
}

export interface Catalog {
  /** Names the price list, so that every cost can be traced to one. */
  priceVersion: string;
  models: readonly CatalogModel[];
  /** The model to ask when none is named. */
  default?: string;
}
