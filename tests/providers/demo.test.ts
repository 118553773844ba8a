import { describe, expect, test } from "vitest";
import { createDemoProvider } from "../../src/providers/demo/demo-provider.ts";
import type { ModelRequest } from "../../src/providers/provider.ts";
import { estimateTokens } from "../../src/providers/tokens.ts";
import { recordAnswer } from "../support/record-answer.ts";

const demo = createDemoProvider({ pieceDelayMs: 0 });
const question: ModelRequest = {
  model: "demo",
  messages: [{ role: "user", content: [{ type: "text", text: "What is the capital of Peru?" }] }],
};
const never = new AbortController().signal;

async function ask(change: Partial<ModelRequest> = {}) {
  const answer = recordAnswer();
  const result = await demo.answer({ ...question, ...change }, answer, never);
  return { answer, result };
}

describe("the demo model", () => {
  test("says what it is and quotes the question, in many pieces", async () => {
    const { answer, result } = await ask();
    expect(answer.text).toMatch(/^This is Tribe's demo model\. It is not a language model/);
    expect(answer.text).toContain("What is the capital of Peru?");
    expect(answer.deltas.length).toBeGreaterThan(50);
    expect(result).toMatchObject({ finishReason: "stop", model: "demo" });
    expect(result.usage?.outputTokens).toBe(estimateTokens(answer.text));
    expect(answer.usages.at(-1)).toEqual(result.usage);
  });

  test("answers the same question the same", async () => {
    expect((await ask()).answer.text).toBe((await ask()).answer.text);
  });

  test("tells that it was given the conversation", async () => {
    const { answer } = await ask({
      messages: [
        { role: "user", content: [{ type: "text", text: "My name is Ada" }] },
        { role: "assistant", content: [{ type: "text", text: "Hello Ada" }] },
        ...question.messages,
      ],
    });
    expect(answer.text).toContain("2 earlier messages");
    expect(answer.text).toContain("My name is Ada");
  });

  test("ends before a stop sequence", async () => {
    const { answer, result } = await ask({ stop: ["zzz", " language"] });
    expect(answer.text).toBe("This is Tribe's demo model. It is not a");
    expect(result.finishReason).toBe("stop");
  });

  test("ends within the tokens it may write", async () => {
    const { answer, result } = await ask({ maxOutputTokens: 7 });
    expect(result.finishReason).toBe("length");
    expect(answer.text).not.toBe("");
    expect(result.usage?.outputTokens).toBeLessThanOrEqual(7);
  });

  test("stops when it is aborted", async () => {
    const slow = createDemoProvider({ pieceDelayMs: 1 });
    const controller = new AbortController();
    const answer = recordAnswer();
    const asked = slow.answer(question, answer, controller.signal);
    await answer.received(2);
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(asked).rejects.toBe(reason);
    expect(answer.deltas.length).toBeLessThan(20);
  });

  test.each<[string, Partial<ModelRequest>]>([
    ["tools", { tools: [{ name: "f", description: "", strict: false }] }],
    ["responseFormat.jsonObject", { responseFormat: { type: "json_object" } }],
    [
      "responseFormat.jsonSchema",
      { responseFormat: { type: "json_schema", name: "", schema: {}, strict: false } },
    ],
    ["reasoningEffort", { reasoningEffort: "low" }],
    ["temperature", { temperature: 0.7 }],
    [
      "content[1].image",
      {
        messages: [
          {
            role: "user",
            content: [
              { type: "text", text: "See" },
              { type: "image", url: "https://example.com/a.png" },
            ],
          },
        ],
      },
    ],
    [
      "content[0].toolResult",
      {
        messages: [
          { role: "user", content: [{ type: "tool_result", toolCallId: "x", content: "y" }] },
        ],
      },
    ],
  ])("refuses %s", (field, change) => {
    expect(() => demo.check({ ...question, ...change })).toThrow(
      expect.objectContaining({
        code: "INVALID_ARGUMENT",
        fields: [expect.objectContaining({ field })],
      }),
    );
  });

  test("takes what it can do", () => {
    const request = { ...question, temperature: 0, stop: ["x"], reasoningEffort: "none" as const };
    expect(() => demo.check({ ...request, system: "Be brief", maxOutputTokens: 9 })).not.toThrow();
  });
});
