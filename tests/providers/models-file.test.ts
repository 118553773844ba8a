import { describe, expect, test } from "vitest";
import { parseModelsFile } from "../../src/providers/models-file.ts";

const parse = (value: unknown) => parseModelsFile(JSON.stringify(value));
function faultsOf(value: unknown): string[] {
  try {
    parse(value);
  } catch (error) {
    return (error as Error).message.split("\n  ").slice(1);
  }
  return [];
}

describe("MODELS_FILE", () => {
  test("needs no more than names", () => {
    const catalog = parse({
      priceVersion: "mine-1",
      models: [{ model: "fast", deployments: [{ provider: "openai", model: "llama-3.3" }] }],
    });
    expect(catalog).toEqual({
      priceVersion: "mine-1",
      models: [{ model: "fast", deployments: [{ provider: "openai", model: "llama-3.3" }] }],
    });
  });

  test("takes everything that can be known of a model", () => {
    const model = {
      model: "clever",
      deployments: [
        { provider: "anthropic", model: "claude-opus-5-5" },
        { provider: "openai", model: "gpt-6-astra" },
      ],
      contextTokens: 1_000_000,
      maxOutputTokens: 128_000,
      images: true,
      tools: false,
      jsonSchema: true,
      reasoning: false,
      firstTokenMs: 120_000,
      priceVersion: "contract-7",
    };
    const catalog = parse({
      priceVersion: "mine-1",
      default: "clever",
      models: [
        {
          ...model,
          price: {
            inputMicros: 4_000_000,
            cachedInputMicros: 200_000,
            outputMicros: 20_000_000,
            longInput: { aboveInputTokens: 200_000, inputMicros: 8_000_000, outputMicros: 0 },
          },
        },
      ],
    });
    expect(catalog.default).toBe("clever");
    expect(catalog.models[0]).toEqual({
      ...model,
      price: {
        inputMicros: 4_000_000n,
        cachedInputMicros: 200_000n,
        cacheWriteMicros: 4_000_000n,
        outputMicros: 20_000_000n,
        longInput: {
          aboveInputTokens: 200_000,
          inputMicros: 8_000_000n,
          cachedInputMicros: 8_000_000n,
          cacheWriteMicros: 8_000_000n,
          outputMicros: 0n,
        },
      },
    });
  });

  test("takes keys by reference, weights, orders, fallbacks and time limits", () => {
    const text = JSON.stringify({
      priceVersion: "mine-1",
      models: [
        {
          model: "fast",
          deployments: [
            { provider: "openai", model: "m", name: "one", keyFrom: "KEY_1", weight: 3 },
            { provider: "openai", model: "m", plainTextKey: "sk-plain", order: 1 },
            { provider: "openai", model: "m", baseUrl: "http://127.0.0.1:1/v1" },
          ],
          fallbacks: ["other"],
          hedgeAfterMs: 900,
          idleMs: 5,
          totalMs: 6,
        },
        { model: "other", deployments: [{ provider: "demo", model: "demo" }] },
      ],
    });
    const { models } = parseModelsFile(text, (name) => `sk-of-${name}`);
    expect(models[0]).toEqual({
      model: "fast",
      deployments: [
        {
          provider: "openai",
          model: "m",
          name: "one",
          weight: 3,
          account: { apiKey: "sk-of-KEY_1" },
        },
        { provider: "openai", model: "m", order: 1, account: { apiKey: "sk-plain" } },
        { provider: "openai", model: "m", account: { baseUrl: "http://127.0.0.1:1/v1" } },
      ],
      fallbacks: ["other"],
      hedgeAfterMs: 900,
      idleMs: 5,
      totalMs: 6,
    });
  });

  test("lists the faults of deployments, and repeats no key", () => {
    const faults = faultsOf({
      priceVersion: "mine-1",
      models: [
        {
          model: "a",
          deployments: [
            { provider: "openai", model: "m", keyFrom: "sk-secret-key", weight: 0, order: -1 },
            { provider: "openai", model: "m", keyFrom: "MISSING", name: "a/openai" },
            { provider: "openai", model: "m", keyFrom: "X", plainTextKey: "sk-secret-key" },
            { provider: "openai", model: "m", baseUrl: "ftp://x", name: "no spaces" },
            { provider: "demo", model: "demo", plainTextKey: "sk-secret-key" },
            { provider: "openai", model: "m", baseUrl: "https://me:sk-secret-key@x", name: "b" },
          ],
          fallbacks: ["a", "gone", 7],
        },
      ],
    });
    expect(faults).toEqual([
      "models[0].deployments[0].weight: must be a whole number from 1 to 1000",
      "models[0].deployments[0].order: must be a whole number from 0 to 1000",
      "models[0].deployments[0].keyFrom: must be the name of an environment variable, not the key itself",
      "models[0].deployments[1].keyFrom: neither MISSING nor MISSING_FILE is set",
      "models[0].deployments[2].plainTextKey: and keyFrom are both there: give one of them",
      expect.stringMatching(/^models\[0\]\.deployments\[3\]\.name: must be 1 to 100/),
      "models[0].deployments[3].baseUrl: must be a URL that begins with https:// or http://",
      "models[0].deployments[4]: the demo model takes neither a key nor a baseUrl",
      "models[0].deployments[5].baseUrl: must have no user and password in it",
      "models[0].fallbacks[2]: must be a text that is not empty",
      'models[0].fallbacks[0]: must be another model of this file, not "a"',
      'models[0].fallbacks[1]: must be another model of this file, not "gone"',
      expect.stringMatching(/^models\[0\]\.fallbacks\[2\]: must be another model/),
      'models[0].deployments[1].name: "a/openai" is there twice',
    ]);
    expect(faults.join()).not.toContain("secret");
  });

  test("lists every fault at once, each with its path", () => {
    const faults = faultsOf({
      prices: "x",
      default: "gone",
      models: [
        { model: "", deployments: [] },
        {
          model: "a",
          deployments: [{ provider: "opnai", model: "m", key: "sk" }],
          contextTokens: 1.5,
          tools: "yes",
          price: { inputMicros: -1, outputMicros: "free", longInput: {} },
        },
        { model: "a", deployments: "openai" },
        7,
      ],
    });
    expect(faults).toEqual([
      expect.stringMatching(/^prices: is not known; known are priceVersion, default, models$/),
      "models[0].model: must be a text that is not empty",
      "models[0].deployments: must name at least one",
      expect.stringMatching(/^models\[1\]\.deployments\[0\]\.key: is not known/),
      "models[1].deployments[0].provider: must be one of openai, anthropic, demo",
      "models[1].contextTokens: must be a whole number above 0",
      "models[1].tools: must be true or false",
      expect.stringMatching(/^models\[1\]\.price\.inputMicros: must be a whole number/),
      expect.stringMatching(/^models\[1\]\.price\.outputMicros: must be a whole number/),
      expect.stringMatching(/^models\[1\]\.price\.longInput\.aboveInputTokens: must/),
      expect.stringMatching(/^models\[1\]\.price\.longInput\.inputMicros: must/),
      expect.stringMatching(/^models\[1\]\.price\.longInput\.outputMicros: must/),
      "models[2].deployments: must be an array",
      'models[2].model: "a" is there twice',
      "models[3]: must be an object",
      "models[3].model: must be a text that is not empty",
      "models[3].deployments: must be an array",
      'default: must be one of the models, not "gone"',
      "priceVersion: must be a text that is not empty",
    ]);
  });

  test.each([
    ["no JSON", "{"],
    ["not an object", "[]"],
  ])("says so when it is %s", (_, text) => {
    expect(() => parseModelsFile(text)).toThrow(/^MODELS_FILE is wrong:\n {2}the file: must be/);
  });
});
