import type { ModelDelta, ModelSink, TokenUsage } from "../../src/providers/provider.ts";

/** A sink that keeps what it was given. */
export interface RecordedAnswer extends ModelSink {
  readonly deltas: ModelDelta[];
  readonly usages: TokenUsage[];
  /** The text deltas, joined. */
  readonly text: string;
  /** The reasoning deltas, joined. */
  readonly reasoning: string;
  /** The tool calls, put together. */
  readonly toolCalls: { toolCallId: string; name: string; arguments: string }[];
  /** Resolves when so many deltas have come. */
  received(count: number): Promise<void>;
}

export function recordAnswer(): RecordedAnswer {
  const deltas: ModelDelta[] = [];
  const usages: TokenUsage[] = [];
  const waiting: { count: number; resolve: () => void }[] = [];
  const join = (type: "text" | "reasoning") =>
    deltas.map((delta) => (delta.type === type ? delta.text : "")).join("");
  return {
    deltas,
    usages,
    delta(delta) {
      deltas.push(delta);
      for (const { count, resolve } of waiting) if (deltas.length >= count) resolve();
    },
    usage: (usage) => void usages.push(usage),
    get text() {
      return join("text");
    },
    get reasoning() {
      return join("reasoning");
    },
    get toolCalls() {
      const calls: RecordedAnswer["toolCalls"] = [];
      for (const delta of deltas) {
        if (delta.type !== "tool_call") continue;
        const call = (calls[delta.index] ??= { toolCallId: "", name: "", arguments: "" });
        call.toolCallId ||= delta.toolCallId ?? "";
        call.name ||= delta.name ?? "";
        call.arguments += delta.arguments;
      }
      return calls;
    },
    received: (count) =>
      deltas.length >= count
        ? Promise.resolve()
        : new Promise((resolve) => waiting.push({ count, resolve })),
  };
}
