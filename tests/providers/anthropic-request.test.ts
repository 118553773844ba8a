import { describe, expect, test } from "vitest";
import { createAnthropicProvider } from "../../src/providers/anthropic/anthropic-provider.ts";
import type { ContentPart } from "../../src/providers/content.ts";
import type { ModelRequest } from "../../src/providers/provider.ts";
import { connectProvider } from "../support/ask-provider.ts";

const { ask } = connectProvider(
  (server) => createAnthropicProvider({ apiKey: "sk-ant-test", baseUrl: server.url }),
  "claude-sonnet-4-6",
);

const text = (value: string): ContentPart => ({ type: "text", text: value });
const cached = { cache_control: { type: "ephemeral" } };

describe("what is sent", () => {
  test("a plain question, with the most tokens that the model can give", async () => {
    const { body, headers } = await ask();
    expect(body).toEqual({
      model: "claude-sonnet-4-6",
      max_tokens: 64_000,
      messages: [{ role: "user", content: [{ type: "text", text: "Hello" }] }],
      stream: true,
    });
    expect(headers).toMatchObject({ "anthropic-version": expect.any(String) as string });
    expect(JSON.stringify(headers)).toContain("sk-ant-test");
  });

  test("a conversation: roles alternate, results come first, blank texts are left out", async () => {
    const { body } = await ask({
      messages: [
        { role: "user", content: [text("One")] },
        { role: "user", content: [text(""), text(" \n"), text("Two")] },
        {
          role: "assistant",
          content: [
            text(""),
            { type: "tool_call", toolCallId: "a:1", name: "f", arguments: '{"x":1}' },
            { type: "tool_call", toolCallId: "b", name: "g", arguments: "" },
            { type: "tool_call", toolCallId: "c", name: "h", arguments: '{"x":' },
          ],
        },
        {
          role: "user",
          content: [
            text("Here:"),
            { type: "tool_result", toolCallId: "a:1", content: "1" },
            { type: "tool_result", toolCallId: "b", content: "boom", isError: true },
            { type: "image", mediaType: "image/png", data: "iVBORw0=" },
            { type: "image", url: "https://example.com/cat.jpg" },
          ],
        },
      ],
    });
    expect(body["messages"]).toEqual([
      {
        role: "user",
        content: [
          { type: "text", text: "One" },
          { type: "text", text: "Two" },
        ],
      },
      {
        role: "assistant",
        content: [
          { type: "tool_use", id: "a_1", name: "f", input: { x: 1 } },
          { type: "tool_use", id: "b", name: "g", input: {} },
          { type: "tool_use", id: "c", name: "h", input: { arguments: '{"x":' }, ...cached },
        ],
      },
      {
        role: "user",
        content: [
          { type: "tool_result", tool_use_id: "a_1", content: "1" },
          { type: "tool_result", tool_use_id: "b", content: "boom", is_error: true },
          { type: "text", text: "Here:" },
          {
            type: "image",
            source: { type: "base64", media_type: "image/png", data: "iVBORw0=" },
          },
          { type: "image", source: { type: "url", url: "https://example.com/cat.jpg" } },
        ],
      },
    ]);
  });

  test("every option", async () => {
    const parameters = { type: "object", properties: { city: { type: "string" } } };
    const { body } = await ask({
      system: "Be brief",
      temperature: 0.5,
      maxOutputTokens: 99,
      stop: ["END"],
      tools: [
        { name: "weather", description: "Tells it", parameters, strict: true },
        { name: "time", description: "", strict: false },
      ],
      toolChoice: { mode: "required" },
      responseFormat: { type: "json_schema", name: "x", schema: { type: "object" }, strict: true },
    });
    expect(body).toMatchObject({
      system: [{ type: "text", text: "Be brief", ...cached }],
      temperature: 0.5,
      max_tokens: 99,
      stop_sequences: ["END"],
      tools: [
        { name: "weather", description: "Tells it", input_schema: parameters, strict: true },
        { name: "time", input_schema: { type: "object", properties: {} } },
      ],
      tool_choice: { type: "any" },
      output_config: { format: { type: "json_schema", schema: { type: "object" } } },
    });
  });

  test("the stable prefix is marked for the cache: tools alone, too", async () => {
    const { body } = await ask({
      tools: [
        { name: "f", description: "", strict: false },
        { name: "g", description: "", strict: false },
      ],
      toolChoice: { toolName: "g" },
    });
    expect(body["tools"]).toEqual([
      { name: "f", input_schema: { type: "object", properties: {} } },
      { name: "g", input_schema: { type: "object", properties: {} }, ...cached },
    ]);
    expect(body["tool_choice"]).toEqual({ type: "tool", name: "g" });
  });
});

describe("thinking", () => {
  const summarized = { type: "adaptive", display: "summarized" };

  test.each<[string, ModelRequest["reasoningEffort"], object | undefined, string | undefined]>([
    // Thinks only when asked to.
    ["claude-sonnet-4-6", undefined, undefined, undefined],
    ["claude-sonnet-4-6", "none", undefined, undefined],
    ["claude-sonnet-4-6", "minimal", summarized, "low"],
    ["claude-opus-4-8", "high", summarized, "high"],
    // Has a budget instead of an effort.
    ["claude-haiku-4-5", "minimal", { type: "enabled", budget_tokens: 1024 }, undefined],
    ["claude-haiku-4-5", "high", { type: "enabled", budget_tokens: 32_768 }, undefined],
    ["claude-haiku-4-5", "none", undefined, undefined],
    // Thinks unless told not to, each in its own way.
    ["claude-opus-5", undefined, summarized, undefined],
    ["claude-opus-5", "none", { type: "disabled" }, undefined],
    ["claude-haiku-5-5", "none", { type: "disabled" }, undefined],
    ["claude-sonnet-5-5", "none", { type: "between_tools" }, undefined],
    ["claude-opus-5-5", "medium", summarized, "medium"],
  ])("%s with effort %s", async (model, reasoningEffort, thinking, effort) => {
    const { body } = await ask({ model, ...(reasoningEffort && { reasoningEffort }) });
    expect(body["thinking"]).toEqual(thinking);
    expect(body["output_config"]).toEqual(effort && { effort });
  });

  test("a budget stays below the most tokens", async () => {
    const { body } = await ask({
      model: "claude-haiku-4-5",
      reasoningEffort: "high",
      maxOutputTokens: 2000,
    });
    expect(body["thinking"]).toEqual({ type: "enabled", budget_tokens: 1999 });
  });

  test("a forced tool switches off what thinks by default", async () => {
    const { body } = await ask({
      model: "claude-opus-5",
      tools: [{ name: "f", description: "", strict: false }],
      toolChoice: { mode: "required" },
    });
    expect(body).toMatchObject({ thinking: { type: "disabled" }, tool_choice: { type: "any" } });
  });

  const thoughts: ModelRequest["messages"] = [
    { role: "user", content: [text("One")] },
    {
      role: "assistant",
      content: [
        { type: "reasoning", text: "Hm", signature: "c2ln" },
        { type: "reasoning", text: "", redacted: "ZW5j" },
        { type: "reasoning", text: "Another provider's" },
        text("Two"),
      ],
    },
    { role: "user", content: [text("Three")] },
  ];
  const replayed = [
    { type: "thinking", thinking: "Hm", signature: "c2ln" },
    { type: "redacted_thinking", data: "ZW5j" },
    { type: "text", text: "Two", ...cached },
  ];

  test("goes back unchanged, without what is not Claude's own", async () => {
    const { body, headers } = await ask({ messages: thoughts });
    expect(body["messages"]).toMatchObject([{}, { content: replayed }, {}]);
    expect(headers).not.toHaveProperty("anthropic-beta");
  });

  test("may be dropped by models that bind it to the conversation", async () => {
    const { body, headers } = await ask({ model: "claude-opus-5-5", messages: thoughts });
    expect(body).toMatchObject({
      messages: [{}, { content: replayed }, {}],
      thinking: { ...summarized, block_binding: { prefix_mismatch_behavior: "drop_block" } },
    });
    expect(headers["anthropic-beta"]).toBe("thinking-binding-controls-2026-08-01");
  });

  test("is left out where such a model does not think", async () => {
    const { body } = await ask({
      model: "claude-sonnet-5-5",
      messages: thoughts,
      reasoningEffort: "none",
    });
    expect(body["messages"]).toMatchObject([
      {},
      { content: [{ type: "text", text: "Two", ...cached }] },
      {},
    ]);
  });
});
