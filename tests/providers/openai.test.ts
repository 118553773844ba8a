import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import type { ContentPart } from "../../src/providers/content.ts";
import { createOpenAIProvider } from "../../src/providers/openai/openai-provider.ts";
import type { ClosableProvider, ModelRequest } from "../../src/providers/provider.ts";
import { openaiEvents } from "../support/provider-server/openai-wire.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import type { Reply } from "../support/provider-server/reply.ts";
import { recordAnswer } from "../support/record-answer.ts";

let server: ProviderServer;
let provider: ClosableProvider;
beforeAll(async () => {
  server = await startProviderServer();
  provider = createOpenAIProvider({ apiKey: "sk-test", baseUrl: server.openaiUrl });
});
afterAll(async () => {
  await provider.close();
  await server.close();
});
afterEach(() => void server.requests.splice(0));

const text = (value: string): ContentPart => ({ type: "text", text: value });
const question: ModelRequest = {
  model: "test-model",
  messages: [{ role: "user", content: [text("Hello")] }],
};
const never = new AbortController().signal;

async function ask(change: Partial<ModelRequest> = {}, ...script: Reply[]) {
  server.script(...script);
  const answer = recordAnswer();
  const result = await provider.answer({ ...question, ...change }, answer, never);
  return { answer, result, body: server.requests.at(-1)?.body ?? {} };
}
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

describe("what is sent", () => {
  test("a plain question asks for a stream with usage", async () => {
    const { body } = await ask();
    expect(body).toEqual({
      model: "test-model",
      messages: [{ role: "user", content: "Hello" }],
      stream: true,
      stream_options: { include_usage: true },
    });
    expect(server.requests[0]?.headers["authorization"]).toBe("Bearer sk-test");
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
      baseUrl: server.openaiUrl,
      maxConnections: 2,
    });
    const answers = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const answer = recordAnswer();
        await few.answer(question, answer, never);
        return answer.text;
      }),
    );
    expect(new Set(answers).size).toBe(1);
    expect(new Set(server.requests.map((it) => it.remotePort)).size).toBe(2);
    await few.close();
  });
});
