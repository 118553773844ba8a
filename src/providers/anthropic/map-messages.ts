import type { ContentBlockParam, MessageParam } from "@anthropic-ai/sdk/resources/messages";
import {
  isBlank,
  type ContentPart,
  type ImagePart,
  type ReasoningPart,
  type ToolCallPart,
} from "../content.ts";
import type { ModelMessage } from "../provider.ts";

interface MappedMessage {
  role: "user" | "assistant";
  content: ContentBlockParam[];
}

/** Marks the end of a prefix that later requests will share; kept for five minutes after each use. */
const CACHE_CONTROL = { type: "ephemeral" as const };

/**
 * The conversation as the Messages API wants it: roles alternate, so messages of
 * the same role become one; blocks are never blank; tool results come first.
 *
 * The last message before the new one ends the prefix that the next turn will
 * share, so that it is marked for the cache.
 */
export function mapMessages(
  messages: readonly ModelMessage[],
  keepThoughts: boolean,
): MessageParam[] {
  const mapped: MappedMessage[] = [];
  for (const { role, content } of messages) {
    const blocks = role === "user" ? userBlocks(content) : assistantBlocks(content, keepThoughts);
    const last = mapped.at(-1);
    if (last?.role === role) last.content.push(...blocks);
    else if (blocks.length > 0) mapped.push({ role, content: blocks });
  }
  const previous = mapped.at(-2);
  if (previous !== undefined) markForCache(previous.content);
  return mapped;
}

function userBlocks(content: readonly ContentPart[]): ContentBlockParam[] {
  const results: ContentBlockParam[] = [];
  const others: ContentBlockParam[] = [];
  for (const part of content) {
    if (part.type === "tool_result") {
      results.push({
        type: "tool_result",
        tool_use_id: cleanId(part.toolCallId),
        content: part.content,
        ...(part.isError && { is_error: true }),
      });
    } else if (part.type === "image") {
      others.push({ type: "image", source: imageSource(part) });
    } else if (part.type === "text" && !isBlank(part.text)) {
      others.push({ type: "text", text: part.text });
    }
  }
  return results.length === 0 ? others : [...results, ...others];
}

function assistantBlocks(
  content: readonly ContentPart[],
  keepThoughts: boolean,
): ContentBlockParam[] {
  const blocks: ContentBlockParam[] = [];
  for (const part of content) {
    if (part.type === "text" && !isBlank(part.text)) {
      blocks.push({ type: "text", text: part.text });
    } else if (part.type === "tool_call") {
      blocks.push({
        type: "tool_use",
        id: cleanId(part.toolCallId),
        name: part.name,
        input: toolInput(part),
      });
    } else if (part.type === "reasoning" && keepThoughts) {
      const block = thinkingBlock(part);
      if (block !== undefined) blocks.push(block);
    }
  }
  return blocks;
}

/** Only thoughts that are proven to be Claude's own are taken back. */
function thinkingBlock(part: ReasoningPart): ContentBlockParam | undefined {
  if (part.redacted) return { type: "redacted_thinking", data: part.redacted };
  if (!part.signature) return undefined;
  return { type: "thinking", thinking: part.text, signature: part.signature };
}

/** The arguments as an object; text that is none is kept as the one argument of an object. */
function toolInput(part: ToolCallPart): unknown {
  try {
    const input: unknown = JSON.parse(part.arguments || "{}");
    if (typeof input === "object" && input !== null && !Array.isArray(input)) return input;
  } catch {
    // The model wrote something that is not JSON.
  }
  return { arguments: part.arguments };
}

function imageSource(part: ImagePart) {
  if (part.url !== undefined) return { type: "url" as const, url: part.url };
  return {
    type: "base64" as const,
    media_type: part.mediaType as "image/png",
    data: part.data ?? "",
  };
}

/** Ids of other providers may have characters that Anthropic refuses. */
function cleanId(id: string): string {
  return id.replace(/[^a-zA-Z0-9_-]/g, "_");
}

/** Thoughts cannot be marked, so the last other block is. */
function markForCache(content: readonly ContentBlockParam[]): void {
  const block = content.findLast(({ type }) => type !== "thinking" && type !== "redacted_thinking");
  if (block !== undefined) (block as { cache_control?: object }).cache_control = CACHE_CONTROL;
}
