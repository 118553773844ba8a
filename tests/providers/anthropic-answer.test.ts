import { describe, expect, test } from "vitest";
import { createAnthropicProvider } from "../../src/providers/anthropic/anthropic-provider.ts";
import { connectProvider } from "../support/ask-provider.ts";
import { anthropicEvents } from "../support/provider-server/anthropic-wire.ts";
import type { Reply } from "../support/provider-server/reply.ts";

const { ask } = connectProvider(
  (server) => createAnthropicProvider({ apiKey: "sk-ant-test", baseUrl: server.url }),
  "claude-sonnet-4-6",
);

describe("what is read", () => {
  const everything: Reply = {
    reasoning: ["Let me ", "think 👋🏽"],
    signature: "c2ln",
    redacted: "ZW5j",
    text: ["Grüße ", "aus ", "世界"],
    toolCalls: [
      { id: "toolu_1", name: "weather", arguments: ['{"city":', "", '"Rome"}'] },
      { id: "toolu_2", name: "time", arguments: "" },
    ],
    model: "claude-sonnet-4-6-20260101",
    usage: {
      freshInputTokens: 10,
      cachedInputTokens: 20,
      cacheWriteTokens: 5,
      outputTokens: 17,
      reasoningTokens: 3,
    },
  };

  test("thoughts, encrypted thoughts, text, parallel tool calls and usage", async () => {
    const { answer, result } = await ask({}, everything);
    expect(answer.deltas).toEqual([
      { type: "reasoning", text: "Let me " },
      { type: "reasoning", text: "think 👋🏽" },
      { type: "reasoning", text: "", signature: "c2ln" },
      { type: "reasoning", text: "", redacted: "ZW5j" },
      { type: "text", text: "Grüße " },
      { type: "text", text: "aus " },
      { type: "text", text: "世界" },
      { type: "tool_call", index: 0, toolCallId: "toolu_1", name: "weather", arguments: "" },
      { type: "tool_call", index: 0, arguments: '{"city":' },
      { type: "tool_call", index: 0, arguments: '"Rome"}' },
      { type: "tool_call", index: 1, toolCallId: "toolu_2", name: "time", arguments: "" },
      { type: "tool_call", index: 1, arguments: "{}" },
    ]);
    const input = { inputTokens: 35, cachedInputTokens: 20, cacheWriteTokens: 5 };
    const usage = { ...input, outputTokens: 17, reasoningTokens: 3 };
    expect(result).toEqual({
      finishReason: "tool_calls",
      model: "claude-sonnet-4-6-20260101",
      usage,
    });
    // The input is known from the start, so that a broken answer can be billed.
    expect(answer.usages).toMatchObject([{ ...input, outputTokens: 1 }, usage]);
  });

  test("usage of the end that repeats only what changed", async () => {
    const start = {
      type: "message_start",
      message: { usage: { input_tokens: 4, cache_read_input_tokens: 6, output_tokens: 1 } },
    };
    const end = {
      type: "message_delta",
      delta: { stop_reason: "end_turn" },
      usage: { output_tokens: 9 },
    };
    const { result } = await ask(
      {},
      {
        raw: [start, end, { type: "message_stop" }].map((it) => `data: ${JSON.stringify(it)}\n\n`),
      },
    );
    expect(result).toMatchObject({
      model: "claude-sonnet-4-6",
      usage: { inputTokens: 10, cachedInputTokens: 6, cacheWriteTokens: 0, outputTokens: 9 },
    });
  });

  test("an answer without usage", async () => {
    const { result } = await ask({}, { text: "Hi", usage: null });
    expect(result.usage).toBeUndefined();
  });

  test.each<[string, string]>([
    ["end_turn", "stop"],
    ["stop_sequence", "stop"],
    ["pause_turn", "stop"],
    ["max_tokens", "length"],
    ["model_context_window_exceeded", "length"],
    ["tool_use", "tool_calls"],
    ["refusal", "content_filter"],
  ])("stop reason %s", async (wire, finishReason) => {
    const { result } = await ask({}, { text: "x", finishReason: wire });
    expect(result.finishReason).toBe(finishReason);
  });

  test("events that do not exist yet are passed over", async () => {
    const events = anthropicEvents({ reply: { text: "Hi" }, model: "m", body: {} });
    events.splice(2, 0, 'event: future\ndata: {"type":"future","x":1}\n\n');
    const { answer } = await ask({}, { raw: events });
    expect(answer.text).toBe("Hi");
  });

  test("the same answer wherever the bytes are cut", async () => {
    const events = anthropicEvents({ reply: everything, model: "m", body: {} });
    const bytes = Buffer.from(events.join(""));
    const whole = (await ask({}, { raw: [bytes] })).answer;
    expect(whole.text).toBe("Grüße aus 世界");
    for (let at = 1; at < bytes.length; at += 29) {
      const { answer } = await ask({}, { raw: [bytes.subarray(0, at), bytes.subarray(at)] });
      expect(answer.deltas).toEqual(whole.deltas);
    }
    const { answer } = await ask({}, { raw: [bytes], bytesPerWrite: 1 });
    expect(answer.deltas).toEqual(whole.deltas);
  });
});
