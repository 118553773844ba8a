import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { buildContext, historyTokens, tokensPerMessage } from "../../src/chat/context-window.ts";
import type { HistoryMessage } from "../../src/chat/turn.repository.ts";
import { DomainError } from "../../src/errors.ts";
import type { ContentPart } from "../../src/providers/content.ts";

const limits = { contextTokens: 1000, answerTokens: 100, fixedTokens: 50 };
const question = { content: [{ type: "text" as const, text: "And now?" }], tokens: 10 };

/** As it follows a branch that was read from its first message on. */
function build(
  history: readonly HistoryMessage[],
  asked: { content: readonly ContentPart[]; tokens: number },
) {
  return buildContext(history, { ...asked, depth: history.length + 1 }, limits);
}

function user(id: string, tokens = 10): HistoryMessage {
  return { messageId: id, role: "user", content: [{ type: "text", text: id }], tokens };
}
function assistant(id: string, tokens = 10): HistoryMessage {
  return { messageId: id, role: "assistant", content: [{ type: "text", text: id }], tokens };
}
function toolCall(id: string, ...callIds: string[]): HistoryMessage {
  return {
    messageId: id,
    role: "assistant",
    content: callIds.map((toolCallId) => ({
      type: "tool_call",
      toolCallId,
      name: "look",
      arguments: "{}",
    })),
    tokens: 10,
  };
}
function toolResult(id: string, ...callIds: string[]): HistoryMessage {
  return {
    messageId: id,
    role: "user",
    content: callIds.map((toolCallId) => ({ type: "tool_result", toolCallId, content: "42" })),
    tokens: 10,
  };
}
function errorOf(work: () => unknown): DomainError {
  try {
    work();
  } catch (error) {
    if (error instanceof DomainError) return error;
    throw error;
  }
  throw new Error("did not throw");
}

describe("buildContext", () => {
  it("sends the whole branch and the question when they fit", () => {
    const history = [user("u1"), assistant("a1"), user("u2"), assistant("a2")];
    expect(build(history, question)).toEqual([
      ...history,
      { role: "user", content: question.content },
    ]);
  });

  it("drops the oldest messages first, and never begins with an answer", () => {
    const history = [user("u1", 700), assistant("a1"), user("u2"), assistant("a2", 200)];
    const sent = build(history, question);
    expect(sent[0]).toBe(history[2]);
    expect(sent).toHaveLength(3);
  });

  it("begins the same for many turns when the branch is too long, whatever of it was read", () => {
    const branch = Array.from({ length: 400 }, (_, index) =>
      index % 2 === 0 ? user(`u${index}`, 10) : assistant(`a${index}`, 10),
    );
    const firsts = Array.from({ length: 150 }, (_, turn) => {
      const asked = branch.slice(0, 100 + 2 * turn);
      const depth = asked.length + 1;
      // The database reads no more of it than may fit.
      const [sent, sentOfLess] = [asked, asked.slice(-70)].map((history) =>
        buildContext(history, { ...question, depth }, limits),
      );
      expect(sentOfLess).toEqual(sent);
      return (sent as HistoryMessage[])[0]!.messageId;
    });
    const changes = firsts.filter((first, turn) => turn > 0 && first !== firsts[turn - 1]);
    expect(changes.length).toBeLessThanOrEqual(Math.ceil((150 * 2) / 16));
  });

  it("keeps a tool call with its result or drops both", () => {
    const history = [
      user("u1", 800),
      toolCall("a1", "c1"),
      toolResult("r1", "c1"),
      assistant("a2"),
    ];
    expect(build(history, question)).toEqual([{ role: "user", content: question.content }]);
  });

  it("leaves out an answer that failed before its first word", () => {
    const empty: HistoryMessage = { messageId: "a1", role: "assistant", content: [], tokens: 0 };
    const sent = build([user("u1"), empty], question);
    expect(sent.map((message) => message.role)).toEqual(["user", "user"]);
  });

  it("refuses a question that cannot fit, naming the field and the room", () => {
    const error = errorOf(() => build([], { ...question, tokens: 900 }));
    expect(error).toMatchObject({ code: "INVALID_ARGUMENT", reason: "CONTEXT_TOO_LONG" });
    expect(error.fields[0]?.field).toBe("content");
    expect(error.message).toContain("room for 850");
  });

  it("refuses a tool result without its call, naming the part", () => {
    const content = [{ type: "tool_result" as const, toolCallId: "c9", content: "42" }];
    const history = [user("u1"), toolCall("a1", "c1")];
    const error = errorOf(() => build(history, { content, tokens: 5 }));
    expect(error.fields[0]?.field).toBe("content[0].toolResult.toolCallId");
  });

  it("refuses a message that leaves a tool call without a result, naming the call", () => {
    const error = errorOf(() => build([user("u1"), toolCall("a1", "c1", "c2")], question));
    expect(error.message).toContain("c1, c2");
  });

  it("always sends the question last, fits, starts with a plain user message and splits no call", () => {
    const exchange = fc.record({
      question: fc.nat(300),
      calls: fc.array(fc.nat(100), { maxLength: 3 }),
      answer: fc.nat(300),
    });
    fc.assert(
      fc.property(fc.array(exchange, { maxLength: 8 }), fc.nat(300), (exchanges, tokens) => {
        const history = exchanges.flatMap(({ question, calls, answer }, turn) => [
          user(`u${turn}`, question),
          ...calls.flatMap((size, call) => [
            { ...toolCall(`c${turn}.${call}`, `${turn}.${call}`), tokens: size },
            { ...toolResult(`r${turn}.${call}`, `${turn}.${call}`), tokens: size },
          ]),
          assistant(`a${turn}`, answer),
        ]);
        const sent = build(history, { ...question, tokens });
        const kept = sent.slice(0, -1) as HistoryMessage[];
        expect(sent.at(-1)?.content).toBe(question.content);
        expect(kept).toEqual(kept.length === 0 ? [] : history.slice(-kept.length));
        const size = kept.reduce((sum, message) => sum + message.tokens + tokensPerMessage, 0);
        expect(size).toBeLessThanOrEqual(historyTokens(limits, tokens));
        expect(kept[0]?.messageId ?? "u").toMatch(/^u/);
      }),
    );
  });
});
