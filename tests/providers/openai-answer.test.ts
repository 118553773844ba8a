import { describe, expect, test } from "vitest";
import { createOpenAIProvider } from "../../src/providers/openai/openai-provider.ts";
import { connectProvider } from "../support/ask-provider.ts";
import { openaiEvents } from "../support/provider-server/openai-wire.ts";
import type { Reply } from "../support/provider-server/reply.ts";
import { recordAnswer } from "../support/record-answer.ts";

const { ask, question, server } = connectProvider(
  (server) => createOpenAIProvider({ apiKey: "sk-test", baseUrl: server.openaiUrl }),
  "test-model",
);

/** A stream written by hand, as compatible servers send it. */
function chunks(...list: (object | string)[]): Reply {
  return {
    raw: list.map((chunk) =>
      typeof chunk === "string" ? chunk : `data: ${JSON.stringify(chunk)}\n\n`,
    ),
  };
}
const content = (value: string) => ({ choices: [{ index: 0, delta: { content: value } }] });
const finish = (reason: string, more: object = {}) => ({
  choices: [{ index: 0, delta: {}, finish_reason: reason, ...more }],
});

describe("what is read", () => {
  test("text in its pieces, usage and the model that answered", async () => {
    const { answer, result } = await ask(
      {},
      {
        text: ["Grüße ", "aus ", "世界 👋🏽"],
        model: "test-model-2026",
        usage: {
          freshInputTokens: 10,
          cachedInputTokens: 20,
          cacheWriteTokens: 5,
          outputTokens: 7,
          reasoningTokens: 3,
        },
      },
    );
    expect(answer.deltas).toEqual([
      { type: "text", text: "Grüße " },
      { type: "text", text: "aus " },
      { type: "text", text: "世界 👋🏽" },
    ]);
    const usage = {
      inputTokens: 35,
      cachedInputTokens: 20,
      cacheWriteTokens: 5,
      outputTokens: 7,
      reasoningTokens: 3,
    };
    expect(result).toEqual({ finishReason: "stop", model: "test-model-2026", usage });
    expect(answer.usages).toEqual([usage]);
  });

  test("parallel tool calls", async () => {
    const calls = [
      { id: "call_a", name: "weather", arguments: ['{"city":', '"Rome"}'] },
      { id: "call_b", name: "time", arguments: "{}" },
    ];
    const { answer, result } = await ask({}, { toolCalls: calls });
    expect(result.finishReason).toBe("tool_calls");
    expect(answer.toolCalls).toEqual([
      { toolCallId: "call_a", name: "weather", arguments: '{"city":"Rome"}' },
      { toolCallId: "call_b", name: "time", arguments: "{}" },
    ]);
  });

  test("tool calls of servers that give no index or the same one, and finish with stop", async () => {
    const piece = (call: object) => ({ choices: [{ delta: { tool_calls: [call] } }] });
    const { answer, result } = await ask(
      {},
      chunks(
        piece({ id: "a", function: { name: "f", arguments: '{"x":1}' } }),
        piece({ index: 0, id: "b", function: { name: "g", arguments: "" } }),
        piece({ index: 0, id: "b", function: { arguments: "{}" } }),
        piece({ index: 0, id: "c", function: { name: "h", arguments: "{}" } }),
        finish("stop"),
      ),
    );
    expect(result.finishReason).toBe("tool_calls");
    expect(answer.toolCalls).toEqual([
      { toolCallId: "a", name: "f", arguments: '{"x":1}' },
      { toolCallId: "b", name: "g", arguments: "{}" },
      { toolCallId: "c", name: "h", arguments: "{}" },
    ]);
  });

  test.each(["reasoning_content", "reasoning"])("thoughts as %s", async (field) => {
    const { answer } = await ask(
      {},
      chunks({ choices: [{ delta: { [field]: "Hm. " } }] }, content("Yes"), finish("stop")),
    );
    expect(answer.deltas).toEqual([
      { type: "reasoning", text: "Hm. " },
      { type: "text", text: "Yes" },
    ]);
  });

  test.each<[string, string]>([
    ["stop", "stop"],
    ["length", "length"],
    ["content_filter", "content_filter"],
    ["tool_calls", "stop"],
    ["eos", "stop"],
  ])("finish reason %s", async (wire, finishReason) => {
    const { result } = await ask({}, { text: "x", finishReason: wire });
    expect(result.finishReason).toBe(finishReason);
  });

  test("a refusal is text that was withheld", async () => {
    const { answer, result } = await ask(
      {},
      chunks({ choices: [{ delta: { refusal: "I will not" } }] }, finish("stop")),
    );
    expect(answer.text).toBe("I will not");
    expect(result.finishReason).toBe("content_filter");
  });

  test("an answer without usage and without [DONE]", async () => {
    const { answer, result } = await ask({}, chunks(content("Hi"), finish("stop")));
    expect(answer.text).toBe("Hi");
    expect(result).toEqual({ finishReason: "stop", usage: undefined, model: "test-model" });
  });

  test.each<[string, object[]]>([
    ["in the last choice's chunk", [{ ...finish("stop"), usage: { prompt_tokens: 3 } }]],
    ["in the choice itself", [finish("stop", { usage: { prompt_tokens: 3 } })]],
    [
      "after the finish reason, in a chunk without choices",
      [finish("stop"), { choices: [], usage: { prompt_tokens: 3 } }],
    ],
    [
      "in every chunk",
      [{ ...finish("stop"), usage: { prompt_tokens: 1 } }, { usage: { prompt_tokens: 3 } }],
    ],
  ])("usage %s", async (_, ending) => {
    const { result } = await ask({}, chunks(content("Hi"), ...ending, "data: [DONE]\n\n"));
    expect(result.usage).toMatchObject({ inputTokens: 3, outputTokens: 0 });
  });

  test("chunks with null in every place, keep-alives and unknown events", async () => {
    const { answer } = await ask(
      {},
      chunks(
        ": OPENROUTER PROCESSING\n\n",
        { choices: null, usage: null, error: null },
        { choices: [{ delta: null, finish_reason: null }] },
        { choices: [{ delta: { content: null, tool_calls: null, role: "assistant" } }] },
        { object: "something.new" },
        "data:\n\n",
        content("Hi"),
        finish("stop"),
        "data: [DONE]",
      ),
    );
    expect(answer.text).toBe("Hi");
  });

  test("the same answer wherever the bytes are cut", async () => {
    const reply: Reply = {
      text: ["Grüße ", "👋🏽", ' "quoted" \\ '],
      toolCalls: [{ id: "c", name: "f", arguments: '{"é":1}' }],
    };
    const events = openaiEvents({
      reply,
      model: "m",
      body: { stream_options: { include_usage: true } },
    });
    const bytes = Buffer.from(events.join("").replaceAll("data:", ":x\r\ndata:"));
    const whole = (await ask({}, { raw: [bytes] })).answer;
    expect(whole.text).toBe('Grüße 👋🏽 "quoted" \\ ');
    // Each write becomes a chunk of its own, so the parser sees the same cut.
    for (let at = 1; at < bytes.length; at += 17) {
      const { answer } = await ask({}, { raw: [bytes.subarray(0, at), bytes.subarray(at)] });
      expect(answer.deltas).toEqual(whole.deltas);
    }
    const { answer } = await ask({}, { raw: [bytes], bytesPerWrite: 1 });
    expect(answer.deltas).toEqual(whole.deltas);
  });

  test("many answers over few connections", async () => {
    const few = createOpenAIProvider({
      apiKey: "sk-test",
      baseUrl: server().openaiUrl,
      maxConnections: 2,
    });
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const answer = recordAnswer();
        await few.answer(question, answer, new AbortController().signal);
        return answer.text;
      }),
    );
    expect(new Set(answers).size).toBe(1);
    expect(new Set(server().requests.map((it) => it.remotePort)).size).toBe(2);
    await few.close();
  });
});
