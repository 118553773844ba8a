/**
 * Answers without any provider, so that a fresh installation can be tried. It
 * is not a language model and says so in every answer.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { invalidField } from "../../errors.ts";
import type { ContentPart } from "../content.ts";
import type {
  FinishReason,
  ModelMessage,
  ModelRequest,
  ModelResult,
  Provider,
  TokenUsage,
} from "../provider.ts";
import { estimateContentTokens, estimateTokens } from "../tokens.ts";

export interface DemoProviderOptions {
  /** Milliseconds between two pieces, so that streaming can be seen. Default: 15. */
  pieceDelayMs?: number;
}

const QUOTE_LENGTH = 200;

/** The provider `demo`: the same question always gets the same answer. */
export function createDemoProvider(options: DemoProviderOptions = {}): Provider {
  const pieceDelayMs = options.pieceDelayMs ?? 15;
  return {
    name: "demo",
    check: checkRequest,
    async answer(request, sink, signal) {
      signal.throwIfAborted();
      const { text, finishReason } = limit(compose(request.messages), request);
      const inputTokens = countInput(request);
      sink.usage(usageOf(inputTokens, 0));
      for (const piece of text.match(/\s*\S+\s*$|\s*\S+/g) ?? []) {
        if (pieceDelayMs > 0) await sleep(pieceDelayMs, undefined, { signal }).catch(ignore);
        signal.throwIfAborted();
        sink.delta({ type: "text", text: piece });
      }
      const usage = usageOf(inputTokens, estimateTokens(text));
      sink.usage(usage);
      const result: ModelResult = { finishReason, usage, model: request.model };
      return result;
    },
  };
}

/** Aborts are told by `signal.throwIfAborted()`, with the signal's own reason. */
function ignore(): void {}

function checkRequest(request: ModelRequest): void {
  const question = request.messages.at(-1)?.content ?? [];
  for (const [index, part] of question.entries()) {
    if (part.type === "image") {
      throw invalidField(`content[${index}].image`, "the demo model sees no pictures; send text");
    }
    if (part.type === "tool_result") {
      throw invalidField(`content[${index}].toolResult`, "the demo model calls no tools");
    }
  }
  if (request.tools !== undefined && request.tools.length > 0) {
    throw invalidField("tools", "the demo model calls no tools");
  }
  if (request.responseFormat !== undefined) {
    const format = request.responseFormat.type === "json_object" ? "jsonObject" : "jsonSchema";
    throw invalidField(`responseFormat.${format}`, "the demo model writes text only");
  }
  if (request.reasoningEffort !== undefined && request.reasoningEffort !== "none") {
    throw invalidField("reasoningEffort", "the demo model does not reason");
  }
  if (request.temperature !== undefined && request.temperature !== 0) {
    throw invalidField("temperature", "the demo model always answers the same; leave it unset");
  }
}

function compose(messages: readonly ModelMessage[]): string {
  const question = textOf(messages.at(-1)?.content ?? []).trim();
  const quote =
    question.length > QUOTE_LENGTH
      ? `${Array.from(question).slice(0, QUOTE_LENGTH).join("")}…`
      : question;
  const earlier = messages.length - 1;
  const memory =
    earlier === 0
      ? "This is the first message of our conversation."
      : `I was also given ${earlier} earlier message${earlier === 1 ? "" : "s"} of our conversation, the first of which says: “${firstWords(messages)}”`;
  return `This is Tribe's demo model. It is not a language model: it gives this one answer to everything.

You wrote: “${quote}”

${memory}

Still, everything around this answer is real. Your message was stored before I began, this text reached you as a stream, and when it ends it is stored together with its token usage and its price, which for me is zero.

Set OPENAI_API_KEY or ANTHROPIC_API_KEY and start Tribe again to talk to a language model.`;
}

function firstWords(messages: readonly ModelMessage[]): string {
  const text = textOf(messages[0]?.content ?? [])
    .replace(/\s+/g, " ")
    .trim();
  return text.length > 60 ? `${Array.from(text).slice(0, 60).join("")}…` : text;
}

function textOf(content: readonly ContentPart[]): string {
  return content.map((part) => (part.type === "text" ? part.text : "")).join("\n");
}

/** Ends the text before the first stop sequence and within the allowed tokens. */
function limit(text: string, request: ModelRequest): { text: string; finishReason: FinishReason } {
  let limited = text;
  for (const stop of request.stop ?? []) {
    const at = limited.indexOf(stop);
    if (at >= 0) limited = limited.slice(0, at);
  }
  const maxTokens = request.maxOutputTokens ?? Infinity;
  if (estimateTokens(limited) <= maxTokens) return { text: limited, finishReason: "stop" };
  const words = limited.match(/\s*\S+/g) ?? [];
  let kept = "";
  for (const word of words) {
    if (estimateTokens(kept + word) > maxTokens) break;
    kept += word;
  }
  return { text: kept, finishReason: "length" };
}

function countInput(request: ModelRequest): number {
  let tokens = estimateTokens(request.system ?? "");
  for (const message of request.messages) tokens += estimateContentTokens(message.content);
  return tokens;
}

function usageOf(inputTokens: number, outputTokens: number): TokenUsage {
  return {
    inputTokens,
    cachedInputTokens: 0,
    cacheWriteTokens: 0,
    outputTokens,
    reasoningTokens: 0,
  };
}
