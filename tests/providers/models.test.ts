import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CatalogModel } from "../../src/providers/catalog.ts";
import { BUILT_IN_CATALOG } from "../../src/providers/built-in-catalog.ts";
import { createDemoProvider } from "../../src/providers/demo/demo-provider.ts";
import { createModels } from "../../src/providers/models.ts";
import { createOpenAIProvider } from "../../src/providers/openai/openai-provider.ts";
import type { ClosableProvider, ModelRequest } from "../../src/providers/provider.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import { recordAnswer } from "../support/record-answer.ts";

let server: ProviderServer;
let openai: ClosableProvider;
beforeAll(async () => {
  server = await startProviderServer();
  openai = createOpenAIProvider({ apiKey: "sk-test", baseUrl: server.openaiUrl });
});
afterAll(async () => {
  await openai.close();
  await server.close();
});

const question: ModelRequest = {
  model: "",
  messages: [{ role: "user", content: [{ type: "text", text: "Hello" }] }],
};
const demo = createDemoProvider({ pieceDelayMs: 0 });

function catalogOf(...models: CatalogModel[]) {
  return { priceVersion: "test-1", models };
}
const plain: CatalogModel = {
  model: "plain",
  deployments: [{ provider: "openai", model: "plain-upstream" }],
  images: false,
  tools: false,
  jsonSchema: false,
  reasoning: false,
  maxOutputTokens: 100,
};

describe("resolving", () => {
  test("lists only models whose provider is configured, the default first", () => {
    const models = createModels({ providers: [openai], catalog: BUILT_IN_CATALOG });
    expect(new Set(models.list().map((info) => info.provider))).toEqual(new Set(["openai"]));
    expect(models.list().map((info) => info.default)).toEqual(
      models.list().map((_, index) => index === 0),
    );
    expect(models.resolve(undefined).model).toBe(models.list()[0]?.model);
    expect(models.resolve("").model).toBe(models.list()[0]?.model);
  });

  test("puts the configured default first", () => {
    const models = createModels({
      providers: [openai, demo],
      catalog: BUILT_IN_CATALOG,
      defaultModel: "demo",
    });
    expect(models.list()[0]).toMatchObject({ model: "demo", default: true, provider: "demo" });
  });

  test("names what there is when a model is not known", () => {
    const models = createModels({
      providers: [openai],
      catalog: catalogOf(
        ...Array.from({ length: 12 }, (_, n) => ({ ...plain, model: `model-${n}` })),
      ),
    });
    expect(() => models.resolve("nope")).toThrow(
      expect.objectContaining({
        code: "INVALID_ARGUMENT",
        fields: [
          {
            field: "model",
            description: expect.stringMatching(
              /"nope" is not known; one of model-0, .*model-9 and 2 more$/,
            ) as string,
          },
        ],
      }),
    );
  });

  test("passes provider/name through with an unknown price", () => {
    const models = createModels({ providers: [openai], catalog: catalogOf(plain) });
    expect(models.resolve("openai/meta/llama-3.3")).toMatchObject({
      model: "openai/meta/llama-3.3",
      provider: "openai",
      upstreamModel: "meta/llama-3.3",
      price: undefined,
      priceVersion: "test-1",
    });
    expect(() => models.resolve("anthropic/claude")).toThrow(/is not known/);
    expect(() => models.resolve("openai/")).toThrow(/is not known/);
  });

  test("provider/name of a known model keeps its price", () => {
    const models = createModels({ providers: [openai], catalog: BUILT_IN_CATALOG });
    expect(models.resolve("openai/gpt-6-luna").price?.inputMicros).toBe(100_000n);
  });

  test("has the demo model where its provider is, whatever the catalogue says", () => {
    const models = createModels({ providers: [demo], catalog: catalogOf(plain) });
    expect(models.list().map((info) => info.model)).toEqual(["demo"]);
    expect(models.resolve(undefined)).toMatchObject({ model: "demo", priceVersion: "demo" });
    const { price } = models.resolve("demo");
    expect([price?.inputMicros, price?.outputMicros]).toEqual([0n, 0n]);
  });

  test("takes a default model that the catalogue does not have", () => {
    const models = createModels({
      providers: [openai],
      catalog: catalogOf(plain),
      defaultModel: "my-own",
    });
    expect(models.resolve(undefined)).toMatchObject({ model: "my-own", provider: "openai" });
    expect(models.resolve("my-own").upstreamModel).toBe("my-own");
    expect(models.list().map((info) => info.model)).toEqual(["my-own", "plain"]);
  });

  test("refuses a default model whose provider is not configured", () => {
    const options = { providers: [openai], catalog: catalogOf(plain) };
    expect(() => createModels({ ...options, defaultModel: "claude-next" })).toThrow(
      /claude-next has no configured provider/,
    );
    expect(() => createModels({ ...options, defaultModel: "anthropic/x" })).toThrow(
      /no configured provider/,
    );
    const anthropic = { ...demo, name: "anthropic" };
    expect(() => createModels({ providers: [anthropic], catalog: catalogOf(plain) })).toThrow(
      /no model/,
    );
  });
});

describe("answering", () => {
  test("asks the upstream model and names who answered", async () => {
    const models = createModels({ providers: [openai], catalog: catalogOf(plain) });
    const answer = recordAnswer();
    server.script({ text: "Good day", model: "plain-2026" });
    const result = await models.answer(
      models.resolve("plain"),
      question,
      answer,
      new AbortController().signal,
    );
    expect(answer.text).toBe("Good day");
    expect(result).toMatchObject({
      model: "plain",
      provider: "openai",
      deployment: "plain/openai",
      upstreamModel: "plain-2026",
      priceVersion: "test-1",
      finishReason: "stop",
    });
    expect(server.requests.at(-1)?.body).toMatchObject({ model: "plain-upstream" });
  });

  test("breaks off a provider that sends nothing", async () => {
    const models = createModels({
      providers: [openai],
      catalog: catalogOf(plain),
      timeouts: { firstTokenMs: 50 },
    });
    server.script({ hang: "before_headers" });
    const choice = models.resolve("plain");
    await expect(
      models.answer(choice, question, recordAnswer(), new AbortController().signal),
    ).rejects.toMatchObject({ reason: "PROVIDER_FIRST_TOKEN_TIMEOUT" });
  });
});

describe("checking", () => {
  const models = () => createModels({ providers: [openai], catalog: catalogOf(plain) });
  const image = { type: "image" as const, url: "https://example.com/a.png" };
  const text = { type: "text" as const, text: "What is this?" };

  test.each<[string, Partial<ModelRequest>]>([
    ["content[1].image", { messages: [{ role: "user", content: [text, image] }] }],
    [
      "model",
      {
        messages: [
          { role: "user", content: [image] },
          { role: "assistant", content: [text] },
          { role: "user", content: [text] },
        ],
      },
    ],
    ["tools", { tools: [{ name: "f", description: "", strict: false }] }],
    ["toolChoice", { toolChoice: { mode: "auto" } }],
    [
      "responseFormat.jsonSchema",
      { responseFormat: { type: "json_schema", name: "x", schema: {}, strict: true } },
    ],
    ["reasoningEffort", { reasoningEffort: "low" }],
    ["maxOutputTokens", { maxOutputTokens: 101 }],
  ])("refuses %s that the model cannot do", (field, change) => {
    const choice = models().resolve("plain");
    expect(() => models().check(choice, { ...question, ...change })).toThrow(
      expect.objectContaining({
        code: "INVALID_ARGUMENT",
        fields: [expect.objectContaining({ field })],
      }),
    );
  });

  test("leaves what is not known to the provider", () => {
    const { check, resolve } = models();
    const request = { ...question, maxOutputTokens: 1_000_000, reasoningEffort: "low" as const };
    expect(() => check(resolve("openai/any"), request)).not.toThrow();
    expect(() => check(resolve("plain"), { ...question, maxOutputTokens: 100 })).not.toThrow();
  });
});
