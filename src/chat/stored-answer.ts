import type { StoredMessage } from "../conversations/message.ts";
import type { ContentPart } from "../providers/content.ts";
import type { AnswerSink } from "../providers/model-answer.ts";
import type { FinishReason, ModelDelta } from "../providers/provider.ts";
import type { ModelChoice } from "../providers/models.ts";

/** A stored answer as pieces, one for each part. */
export function piecesOf(content: readonly ContentPart[]): ModelDelta[] {
  let toolCalls = 0;
  return content.flatMap((part): ModelDelta[] => {
    if (part.type === "text" || part.type === "reasoning") return [part];
    return part.type === "tool_call" ? [{ ...part, index: toolCalls++ }] : [];
  });
}

const free = { inputMicros: 0n, cachedInputMicros: 0n, cacheWriteMicros: 0n, outputMicros: 0n };

const nothing = {
  inputTokens: 0,
  cachedInputTokens: 0,
  cacheWriteTokens: 0,
  outputTokens: 0,
  reasoningTokens: 0,
};

/** Tells an answer that another run got, as if it came from its model: whole, at once and free of charge. */
export function tellAgain(
  { content, answer }: StoredMessage,
  choice: ModelChoice,
  sink: Required<Pick<AnswerSink, "asked" | "delta" | "usage">>,
): { finishReason: FinishReason; usage: undefined } {
  const { model = choice.model, provider = choice.provider } = answer ?? {};
  sink.asked({ ...choice, model, provider, price: free });
  for (const piece of piecesOf(content)) sink.delta(piece);
  sink.usage(nothing);
  return { finishReason: answer?.finishReason as FinishReason, usage: undefined };
}
