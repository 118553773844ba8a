/**
 * The models of OpenAI and Anthropic as their documentation described them on
 * the day that `priceVersion` names. Prices are list prices for standard
 * processing, without regional surcharges.
 * https://developers.openai.com/api/docs/models
 * https://platform.claude.com/docs/en/about-claude/pricing
 */
import type { Catalog, CatalogModel, LongInputPrice, Price } from "./catalog.ts";

/**
 * Dollars for a million tokens, as price lists write them. Models whose list has
 * no price for writing to the cache write at that of the input.
 */
type Dollars = readonly [input: number, cached: number, write: number, output: number];

function price(dollars: Dollars, longInput?: LongInputPrice): Price {
  const [inputMicros, cachedInputMicros, cacheWriteMicros, outputMicros] = dollars.map((amount) =>
    BigInt(Math.round(amount * 1_000_000)),
  ) as [bigint, bigint, bigint, bigint];
  const rates = { inputMicros, cachedInputMicros, cacheWriteMicros, outputMicros };
  return longInput === undefined ? rates : { ...rates, longInput };
}

function above(aboveInputTokens: number, dollars: Dollars): LongInputPrice {
  return { aboveInputTokens, ...price(dollars) };
}

const EVERYTHING = { images: true, tools: true, jsonSchema: true, reasoning: true };
/** Chat Completions sends nothing while a model thinks, which can take minutes. */
const THINKS_SILENTLY = { ...EVERYTHING, firstTokenMs: 300_000 };
const MILLION = { contextTokens: 1_000_000, maxOutputTokens: 128_000 };
const CHATS = { ...EVERYTHING, reasoning: false };
const GPT_4O = { contextTokens: 128_000, maxOutputTokens: 16_384 };
const GPT_4_1 = { contextTokens: 1_047_576, maxOutputTokens: 32_768 };
const GPT_5 = { contextTokens: 400_000, maxOutputTokens: 128_000 };
const GPT_6 = { contextTokens: 1_050_000, maxOutputTokens: 128_000 };

function openai(model: string, facts: Omit<CatalogModel, "model" | "deployments">): CatalogModel {
  return { model, deployments: [{ provider: "openai", model }], ...facts };
}
function anthropic(model: string, dollars: Dollars, longInput?: LongInputPrice): CatalogModel {
  return {
    model,
    deployments: [{ provider: "anthropic", model }],
    ...EVERYTHING,
    ...MILLION,
    price: price(dollars, longInput),
  };
}

/** The demo model: it really costs nothing. */
export const DEMO_MODEL: CatalogModel = {
  model: "demo",
  deployments: [{ provider: "demo", model: "demo" }],
  contextTokens: 128_000,
  maxOutputTokens: 4096,
  images: false,
  tools: false,
  jsonSchema: false,
  reasoning: false,
  price: price([0, 0, 0, 0]),
  priceVersion: "demo",
};

/** What there is without MODELS_FILE. The first model of a configured provider is the default. */
export const BUILT_IN_CATALOG: Catalog = {
  priceVersion: "list-2026-11-23",
  models: [
    openai("gpt-6-luna", {
      ...THINKS_SILENTLY,
      ...GPT_6,
      price: price([0.1, 0.01, 0.125, 0.5], above(272_000, [0.2, 0.02, 0.25, 0.75])),
    }),
    openai("gpt-6-sol", {
      ...THINKS_SILENTLY,
      ...GPT_6,
      price: price([2, 0.2, 2.5, 10], above(272_000, [4, 0.4, 5, 15])),
    }),
    openai("gpt-6.1-terra", {
      ...THINKS_SILENTLY,
      ...GPT_6,
      price: price([1, 0.05, 1.25, 5], above(272_000, [2, 0.1, 2.5, 7.5])),
    }),
    openai("gpt-6.1-sol", {
      ...THINKS_SILENTLY,
      ...GPT_6,
      // Only in the Responses API.
      tools: false,
      price: price([2, 0.1, 2.5, 10], above(272_000, [4, 0.2, 5, 15])),
    }),
    openai("gpt-6-astra", {
      ...THINKS_SILENTLY,
      ...GPT_6,
      // Only in the Responses API.
      tools: false,
      price: price([10, 1, 12.5, 50], above(272_000, [20, 2, 25, 75])),
    }),
    openai("gpt-5", { ...THINKS_SILENTLY, ...GPT_5, price: price([1.25, 0.125, 1.25, 10]) }),
    openai("gpt-5-mini", { ...THINKS_SILENTLY, ...GPT_5, price: price([0.25, 0.025, 0.25, 2]) }),
    openai("gpt-5-nano", { ...THINKS_SILENTLY, ...GPT_5, price: price([0.05, 0.005, 0.05, 0.4]) }),
    openai("gpt-4.1", { ...CHATS, ...GPT_4_1, price: price([2, 0.5, 2, 8]) }),
    openai("gpt-4.1-mini", { ...CHATS, ...GPT_4_1, price: price([0.4, 0.1, 0.4, 1.6]) }),
    openai("gpt-4.1-nano", { ...CHATS, ...GPT_4_1, price: price([0.1, 0.025, 0.1, 0.4]) }),
    openai("gpt-4o", { ...CHATS, ...GPT_4O, price: price([2.5, 1.25, 2.5, 10]) }),
    openai("gpt-4o-mini", { ...CHATS, ...GPT_4O, price: price([0.15, 0.075, 0.15, 0.6]) }),
    anthropic("claude-sonnet-5-5", [2, 0.1, 2.5, 10]),
    anthropic("claude-opus-5-5", [4, 0.2, 5, 20]),
    anthropic("claude-haiku-5-5", [0.1, 0.01, 0.125, 0.5], above(100_000, [0.5, 0.05, 0.625, 2.5])),
    anthropic("claude-fable-5-1", [10, 0.25, 12.5, 50]),
    anthropic("claude-opus-5", [5, 0.5, 6.25, 25]),
    anthropic("claude-sonnet-5", [2, 0.2, 2.5, 10]),
    anthropic("claude-opus-4-8", [5, 0.5, 6.25, 25]),
    {
      ...anthropic("claude-haiku-4-5", [1, 0.1, 1.25, 5]),
      contextTokens: 200_000,
      maxOutputTokens: 64_000,
    },
  ],
};
