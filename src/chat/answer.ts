import type { ContentPart } from "../providers/content.ts";
import type { ModelDelta } from "../providers/provider.ts";

/** An answer that is being put together from its pieces. */
export interface Answer {
  add(delta: ModelDelta): void;
  /** The whole answer: every part in the order in which it began. */
  content(): ContentPart[];
  /**
   * What may be kept of an answer that broke off. Tool calls go: their arguments
   * may be cut, and a call that nobody answers would block the next turn.
   */
  partialContent(): ContentPart[];
}

export function createAnswer(): Answer {
  const parts: ContentPart[] = [];
  const toolCalls = new Map<number, ContentPart & { type: "tool_call" }>();

  /** The part that is being written, if it is of this type. */
  function last<T extends ContentPart["type"]>(type: T): (ContentPart & { type: T }) | undefined {
    const part = parts.at(-1);
    return part?.type === type ? (part as ContentPart & { type: T }) : undefined;
  }

  function addReasoning(delta: ModelDelta & { type: "reasoning" }): void {
    let part = last("reasoning");
    // A signature closes its block, and redacted thoughts are a block of their own.
    const closed = part?.signature !== undefined || part?.redacted !== undefined;
    if (!part || closed || (delta.redacted !== undefined && part.text !== "")) {
      part = { type: "reasoning", text: "" };
      parts.push(part);
    }
    part.text += delta.text;
    if (delta.signature !== undefined) part.signature = delta.signature;
    if (delta.redacted !== undefined) part.redacted = delta.redacted;
  }

  function addToolCall(delta: ModelDelta & { type: "tool_call" }): void {
    let part = toolCalls.get(delta.index);
    if (!part) {
      part = { type: "tool_call", toolCallId: "", name: "", arguments: "" };
      toolCalls.set(delta.index, part);
      parts.push(part);
    }
    if (delta.toolCallId) part.toolCallId = delta.toolCallId;
    if (delta.name) part.name = delta.name;
    part.arguments += delta.arguments;
  }

  return {
    add(delta) {
      switch (delta.type) {
        case "text": {
          const part = last("text");
          if (part) part.text += delta.text;
          else parts.push({ type: "text", text: delta.text });
          return;
        }
        case "reasoning":
          return addReasoning(delta);
        case "tool_call":
          return addToolCall(delta);
      }
    },
    content: () => parts,
    partialContent: () => parts.filter((part) => part.type !== "tool_call"),
  };
}
