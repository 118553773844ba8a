import { describe, expect, test } from "vitest";
import type { ContentPart } from "../../src/providers/content.ts";
import { createOpenAIProvider } from "../../src/providers/openai/openai-provider.ts";
import { connectProvider } from "../support/ask-provider.ts";

const { ask } = connectProvider(
  (server) => createOpenAIProvider({ apiKey: "sk-test", baseUrl: server.openaiUrl }),
  "test-model",
);

const text = (value: string): ContentPart => ({ type: "text", text: value });

describe("what is sent", () => {
  test("a plain question asks for a stream with usage", async () => {
    const { body, headers } = await ask();
    expect(body).toEqual({
      model: "test-model",
      messages: [{ role: "user", content: "Hello" }],
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(headers["authorization"]).toBe("Bearer sk-test");
  });

  test("system prompt, pictures, tool calls and tool results", async () => {
    const { body } = await ask({
      system: "Be brief",
      messages: [
        {
          role: "user",
          content: [
            text("What is this?"),
            { type: "image", mediaType: "image/png", data: "iVBORw0=" },
            { type: "image", url: "https://example.com/cat.jpg" },
          ],
        },
        {
          role: "assistant",
          content: [
            { type: "reasoning", text: "Let me look", signature: "x" },
            text("One "),
            text("moment."),
            { type: "tool_call", toolCallId: "c1", name: "look", arguments: '{"at":1}' },
            { type: "tool_call", toolCallId: "c2", name: "rest", arguments: "" },
          ],
        },
        {
          role: "user",
          content: [
            { type: "tool_result", toolCallId: "c1", content: "a cat" },
            { type: "tool_result", toolCallId: "c2", content: "no bed", isError: true },
            text("And?"),
          ],
        },
      ],
    });
    expect(body["messages"]).toEqual([
      { role: "system", content: "Be brief" },
      {
        role: "user",
        content: [
          { type: "text", text: "What is this?" },
          { type: "image_url", image_url: { url: "data:image/png;base64,iVBORw0=" } },
          { type: "image_url", image_url: { url: "https://example.com/cat.jpg" } },
        ],
      },
      {
        role: "assistant",
        content: "One moment.",
        tool_calls: [
          { id: "c1", type: "function", function: { name: "look", arguments: '{"at":1}' } },
          { id: "c2", type: "function", function: { name: "rest", arguments: "{}" } },
        ],
      },
      { role: "tool", tool_call_id: "c1", content: "a cat" },
      { role: "tool", tool_call_id: "c2", content: "Error: no bed" },
      { role: "user", content: [{ type: "text", text: "And?" }] },
    ]);
  });

  test("every option", async () => {
    const parameters = { type: "object", properties: { city: { type: "string" } } };
    const { body } = await ask({
      temperature: 0.5,
      maxOutputTokens: 99,
      stop: ["END"],
      tools: [
        { name: "weather", description: "Tells it", parameters, strict: true },
        { name: "time", description: "", strict: false },
      ],
      toolChoice: { toolName: "weather" },
      responseFormat: { type: "json_schema", name: "", schema: { type: "object" }, strict: true },
      reasoningEffort: "low",
    });
    expect(body).toMatchObject({
      temperature: 0.5,
      // Compatible servers know this name; OpenAI's own is tested with its rules.
      max_tokens: 99,
      stop: ["END"],
      tools: [
        {
          type: "function",
          function: { name: "weather", description: "Tells it", parameters, strict: true },
        },
        { type: "function", function: { name: "time" } },
      ],
      tool_choice: { type: "function", function: { name: "weather" } },
      response_format: {
        type: "json_schema",
        json_schema: { name: "answer", schema: { type: "object" }, strict: true },
      },
      reasoning_effort: "low",
    });
  });

  test("JSON objects and general tool choices", async () => {
    const { body } = await ask({
      tools: [{ name: "f", description: "", strict: false }],
      toolChoice: { mode: "required" },
      responseFormat: { type: "json_object" },
    });
    expect(body).toMatchObject({
      tool_choice: "required",
      response_format: { type: "json_object" },
    });
  });
});
