import { expect, it } from "vitest";
import { createAnswer } from "../../src/chat/answer.ts";

it("joins the pieces of each part and keeps the parts in the order in which they began", () => {
  const answer = createAnswer();
  answer.add({ type: "reasoning", text: "Let me " });
  answer.add({ type: "reasoning", text: "think", signature: "s1" });
  answer.add({ type: "reasoning", text: "", redacted: "r1" });
  answer.add({ type: "text", text: "It is " });
  answer.add({ type: "text", text: "so." });
  answer.add({ type: "tool_call", index: 0, toolCallId: "c1", name: "look", arguments: "" });
  answer.add({ type: "tool_call", index: 1, toolCallId: "c2", name: "hear", arguments: '{"a"' });
  answer.add({ type: "tool_call", index: 0, arguments: "{}" });
  answer.add({ type: "tool_call", index: 1, arguments: ":1}" });
  expect(answer.content()).toEqual([
    { type: "reasoning", text: "Let me think", signature: "s1" },
    { type: "reasoning", text: "", redacted: "r1" },
    { type: "text", text: "It is so." },
    { type: "tool_call", toolCallId: "c1", name: "look", arguments: "{}" },
    { type: "tool_call", toolCallId: "c2", name: "hear", arguments: '{"a":1}' },
  ]);
});

it("keeps no tool call of an answer that broke off", () => {
  const answer = createAnswer();
  answer.add({ type: "text", text: "I look" });
  answer.add({ type: "tool_call", index: 0, toolCallId: "c1", name: "look", arguments: '{"pa' });
  expect(answer.partialContent()).toEqual([{ type: "text", text: "I look" }]);
});
