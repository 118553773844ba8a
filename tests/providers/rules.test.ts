import { describe, expect, test } from "vitest";
import { DomainError } from "../../src/errors.ts";
import { BUILT_IN_CATALOG } from "../../src/providers/built-in-catalog.ts";
import { createAnthropicProvider } from "../../src/providers/anthropic/anthropic-provider.ts";
import { mapRequest } from "../../src/providers/openai/map-request.ts";
import { createOpenAIProvider } from "../../src/providers/openai/openai-provider.ts";
import { serverRules } from "../../src/providers/openai/server-rules.ts";
import type { ModelRequest, Provider } from "../../src/providers/provider.ts";

const question: ModelRequest = {
  model: "",
  messages: [{ role: "user", content: [{ type: "text", text: "Hello" }] }],
};
const tools = [{ name: "f", description: "", strict: false }];
const openai = createOpenAIProvider({ apiKey: "sk" });
const compatible = createOpenAIProvider({ apiKey: "sk", baseUrl: "http://127.0.0.1:1/v1" });
const anthropic = createAnthropicProvider({ apiKey: "sk" });

/** The field that the provider complains about; undefined when it takes the request. */
function complaint(provider: Provider, request: Partial<ModelRequest>): string | undefined {
  try {
    provider.check({ ...question, ...request });
    return undefined;
  } catch (error) {
    if (error instanceof DomainError && error.code === "INVALID_ARGUMENT") {
      return error.fields[0]?.field;
    }
    throw error;
  }
}

describe("OpenAI's own API", () => {
  const all = { temperature: 1, stop: ["x"], tools };

  test.each<[string, Partial<ModelRequest>, string | undefined]>([
    ["gpt-4.1", all, undefined],
    ["gpt-4.1", { stop: ["a", "b", "c", "d", "e"] }, "stop"],
    ["gpt-4o-mini", { reasoningEffort: "low" }, "reasoningEffort"],
    ["gpt-5.2-chat-latest", { temperature: 1 }, undefined],
    ["o3", { temperature: 1 }, "temperature"],
    ["o4-mini", { stop: ["x"] }, "stop"],
    ["o3", { reasoningEffort: "minimal" }, "reasoningEffort"],
    ["gpt-5", { reasoningEffort: "minimal", tools }, undefined],
    ["gpt-5-mini", { reasoningEffort: "none" }, "reasoningEffort"],
    ["gpt-5.1", { reasoningEffort: "none", temperature: 1 }, undefined],
    ["gpt-5.2", { reasoningEffort: "low", temperature: 1 }, "temperature"],
    ["gpt-5.4", { reasoningEffort: "minimal" }, "reasoningEffort"],
    ["gpt-5.6-luna", { tools }, undefined],
    ["gpt-5.6-luna", { tools, reasoningEffort: "none" }, undefined],
    ["gpt-6-sol", { tools, reasoningEffort: "low" }, "reasoningEffort"],
    ["gpt-6.1-sol", { reasoningEffort: "none" }, "reasoningEffort"],
    ["gpt-6.1-sol", { tools }, "tools"],
    ["gpt-6-astra", { tools }, "tools"],
    ["a-model-of-tomorrow", { ...all, reasoningEffort: "minimal" }, undefined],
  ])("%s with %j", (model, request, field) => {
    expect(complaint(openai, { model, ...request })).toBe(field);
  });

  const rules = serverRules("https://api.openai.com/v1");
  const map = (model: string, request: Partial<ModelRequest>) =>
    mapRequest({ ...question, model, ...request }, rules);

  test("names the most tokens as it wants, and the system prompt as the model wants", () => {
    expect(map("gpt-4.1", { maxOutputTokens: 9, system: "Be brief" })).toMatchObject({
      max_completion_tokens: 9,
      messages: [{ role: "system", content: "Be brief" }, {}],
    });
    expect(map("gpt-6-luna", { system: "Be brief" }).messages[0]?.role).toBe("developer");
  });

  test("switches thinking off where tools need it, and nowhere else", () => {
    expect(map("gpt-6-luna", { tools })).toMatchObject({ reasoning_effort: "none" });
    expect(map("gpt-6-luna", {})).not.toHaveProperty("reasoning_effort");
    expect(map("gpt-5", { tools })).not.toHaveProperty("reasoning_effort");
  });

  test.each([
    ["https://api.openai.com/v1", "max_completion_tokens"],
    ["https://eu.api.openai.com/v1", "max_completion_tokens"],
    ["https://openai.com.example.org/v1", "max_tokens"],
    ["http://localhost:11434/v1", "max_tokens"],
  ])("%s is told by its address", (address, field) => {
    expect(serverRules(address).maxTokensField).toBe(field);
  });
});

test("a compatible server is left to judge for itself", () => {
  const request = {
    model: "gpt-6-astra",
    tools,
    temperature: 2,
    stop: ["a", "b", "c", "d", "e"],
    reasoningEffort: "minimal" as const,
  };
  expect(complaint(compatible, request)).toBeUndefined();
});

describe("Anthropic", () => {
  const json = { responseFormat: { type: "json_object" as const } };
  const forced = { tools, toolChoice: { mode: "required" as const } };

  test.each<[string, Partial<ModelRequest>, string | undefined]>([
    ["claude-sonnet-4-6", json, "responseFormat.jsonObject"],
    ["claude-sonnet-4-6", { stop: ["x", " \n"] }, "stop[1]"],
    ["claude-sonnet-4-6", { temperature: 1 }, undefined],
    ["claude-sonnet-4-6", { temperature: 1.1 }, "temperature"],
    ["claude-haiku-4-5", { temperature: 0.5, reasoningEffort: "low" }, "temperature"],
    ["claude-haiku-4-5", { temperature: 0.5, reasoningEffort: "none" }, undefined],
    ["claude-haiku-4-5", { maxOutputTokens: 1024, reasoningEffort: "low" }, "maxOutputTokens"],
    ["claude-opus-4-8", { temperature: 1 }, "temperature"],
    ["claude-opus-5-5", { reasoningEffort: "none" }, "reasoningEffort"],
    ["claude-opus-5-5", forced, "toolChoice"],
    ["claude-sonnet-5-5", { tools, toolChoice: { toolName: "f" } }, "toolChoice"],
    ["claude-sonnet-5-5", { tools, toolChoice: { mode: "auto" } }, undefined],
    ["claude-opus-5", forced, undefined],
    ["claude-opus-5", { ...forced, reasoningEffort: "low" }, "toolChoice"],
    ["claude-3-haiku-20240307", { reasoningEffort: "low" }, "reasoningEffort"],
    ["claude-of-tomorrow", { temperature: 1, reasoningEffort: "low" }, undefined],
  ])("%s with %j", (model, request, field) => {
    expect(complaint(anthropic, { model, ...request })).toBe(field);
  });
});

describe("the built-in catalogue", () => {
  const { models } = BUILT_IN_CATALOG;

  test("has every model once", () => {
    expect(new Set(models.map(({ model }) => model)).size).toBe(models.length);
  });

  test.each(models)("knows the limits and prices of $model", (entry) => {
    const { price, contextTokens, maxOutputTokens } = entry;
    expect(contextTokens).toBeGreaterThan(maxOutputTokens ?? Infinity);
    const { inputMicros = -1n, cachedInputMicros = -1n, outputMicros = -1n } = price ?? {};
    expect(cachedInputMicros <= inputMicros && inputMicros <= outputMicros).toBe(true);
  });

  test.each(models)(
    "says of $model what its provider says",
    ({ model, deployments, tools: takesTools, reasoning }) => {
      const provider = deployments[0]?.provider === "openai" ? openai : anthropic;
      const thinking = { model, reasoningEffort: "low" as const };
      expect(complaint(provider, { model, tools }) === undefined).toBe(takesTools);
      expect(complaint(provider, thinking) === undefined).toBe(reasoning);
    },
  );
});
