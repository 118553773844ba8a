import { DomainError, invalidField } from "../errors.ts";
import type { ContentPart } from "../providers/content.ts";
import type { ModelChoice } from "../providers/models.ts";
import type { ModelMessage, ModelRequest } from "../providers/provider.ts";
import { estimateTokens } from "../providers/tokens.ts";
import type { HistoryMessage } from "./turn.repository.ts";

/** What has to fit, in estimated tokens. */
export interface WindowLimits {
  /** What question, history and answer share. */
  contextTokens: number;
  /** Kept free for the answer. */
  answerTokens: number;
  /** The system prompt and the tools: always kept. */
  fixedTokens: number;
}

/** Every message costs its provider a few tokens beside its content. https://github.com/openai/openai-cookbook/blob/main/examples/How_to_count_tokens_with_tiktoken.ipynb */
export const tokensPerMessage = 4;

/** Assumed of a model that the catalogue does not know; a provider that has less says so itself. */
const unknownContextTokens = 128_000;
const unknownAnswerTokens = 4_096;

/** What of a request is sent with every turn, whatever is cut. */
function fixedTokens(request: Pick<ModelRequest, "system" | "tools">): number {
  const system = request.system ? estimateTokens(request.system) + tokensPerMessage : 0;
  return system + (request.tools?.length ? estimateTokens(JSON.stringify(request.tools)) : 0);
}

/** A model's limits for a turn. Throws when more output is asked for than the model can give. */
export function windowLimits(
  model: ModelChoice,
  parameters: Pick<ModelRequest, "system" | "tools" | "maxOutputTokens">,
): WindowLimits {
  const { maxOutputTokens } = parameters;
  const contextTokens = model.contextTokens ?? unknownContextTokens;
  const most = model.maxOutputTokens ?? contextTokens;
  if (maxOutputTokens !== undefined && maxOutputTokens > most) {
    throw invalidField("maxOutputTokens", `must be at most ${most} for model ${model.model}`);
  }
  // Unasked, an answer may take a quarter of the context: more would push out history for nothing.
  const usual = Math.min(
    model.maxOutputTokens ?? unknownAnswerTokens,
    Math.floor(contextTokens / 4),
  );
  return {
    contextTokens,
    answerTokens: maxOutputTokens ?? usual,
    fixedTokens: fixedTokens(parameters),
  };
}

/**
 * How many tokens of history can be of use; what the database is asked for. Never
 * less than one, which gives the message before: tool results must match it.
 */
export function historyTokens(limits: WindowLimits, questionTokens: number): number {
  const free = limits.contextTokens - limits.answerTokens - limits.fixedTokens;
  return Math.max(1, free - questionTokens - tokensPerMessage);
}

/**
 * A branch that has grown too long loses so many messages at once, so that the next
 * turns send the same beginning: providers cache what begins alike, and one
 * that loses its oldest message with every turn is never found there.
 */
const cutEvery = 16;

/**
 * The messages to send: the question, and before it as much of its branch as
 * fits, the newest first. The branch is only ever cut before a plain user
 * message: so a tool call is never split from its result, and the first message
 * is the user's, as Anthropic wants it. Where it is cut depends on the messages' places
 * in the branch, if anything fits that way.
 *
 * Throws CONTEXT_TOO_LONG when not even the question fits, and INVALID_ARGUMENT
 * when tool results and tool calls do not match.
 */
export function buildContext(
  history: readonly HistoryMessage[],
  question: { content: readonly ContentPart[]; tokens: number; depth: number },
  limits: WindowLimits,
): ModelMessage[] {
  matchToolResults(history.at(-1), question.content);
  const free = limits.contextTokens - limits.answerTokens - limits.fixedTokens;
  let used = question.tokens + tokensPerMessage;
  const questionStarts = !question.content.some((part) => part.type === "tool_result");
  // Index of the first message that is kept; set only where the branch may be cut.
  let first = questionStarts && used <= free ? history.length : undefined;
  const step = (index: number) =>
    Math.floor((question.depth - history.length + index - 1) / cutEvery);
  // The earliest message that may be first and stays so while the branch grows.
  let steady: number | undefined;
  for (let index = history.length - 1; index >= 0; index--) {
    const message = history[index]!;
    used += message.tokens + tokensPerMessage;
    if (used > free) break;
    if (mayStart(message)) first = index;
    const beginsStep = step(index - 1) < step(index);
    if (beginsStep && first !== undefined && step(first) === step(index)) steady = first;
  }
  first = steady ?? first;
  if (first === undefined) throw contextTooLong(used, free);
  const messages: ModelMessage[] = [];
  for (const message of history.slice(first)) {
    // A run that failed before its first word left an empty answer.
    if (message.content.length > 0) messages.push(message);
  }
  messages.push({ role: "user", content: question.content });
  return messages;
}

function mayStart(message: HistoryMessage): boolean {
  return message.role === "user" && !message.content.some((part) => part.type === "tool_result");
}

function contextTooLong(needed: number, free: number): DomainError {
  return new DomainError(
    "INVALID_ARGUMENT",
    "CONTEXT_TOO_LONG",
    `content: needs about ${needed} tokens, but the model has room for ${Math.max(0, free)} ` +
      "beside the system prompt, the tools and the answer; send less, or ask for fewer maxOutputTokens",
    { fields: [{ field: "content", description: `must fit into ${Math.max(0, free)} tokens` }] },
  );
}

/** Providers refuse tool results without their call, and calls without their result. */
function matchToolResults(
  previous: HistoryMessage | undefined,
  content: readonly ContentPart[],
): void {
  const open = new Set<string>();
  if (previous?.role === "assistant") {
    for (const part of previous.content) if (part.type === "tool_call") open.add(part.toolCallId);
  }
  for (const [index, part] of content.entries()) {
    if (part.type !== "tool_result") continue;
    if (!open.delete(part.toolCallId)) {
      throw invalidField(
        `content[${index}].toolResult.toolCallId`,
        `must be the id of a tool call of the message before that has no result yet; "${part.toolCallId}" is none`,
      );
    }
  }
  if (open.size > 0) {
    throw invalidField(
      "content",
      `must have a toolResult for every tool call of the message before; missing: ${[...open].join(", ")}`,
    );
  }
}
