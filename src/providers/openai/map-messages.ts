import type { ChatCompletionContentPart, ChatCompletionMessageParam } from "openai/resources";
import type { ContentPart, ImagePart, ToolCallPart, ToolResultPart } from "../content.ts";
import type { ModelMessage } from "../provider.ts";

/** The role that carries the system prompt. */
export type SystemRole = "system" | "developer";

/** The system prompt and the conversation as Chat Completions messages. */
export function mapMessages(
  system: string | undefined,
  messages: readonly ModelMessage[],
  systemRole: SystemRole,
): ChatCompletionMessageParam[] {
  const mapped: ChatCompletionMessageParam[] = [];
  if (system) mapped.push({ role: systemRole, content: system });
  for (const { role, content } of messages) {
    if (role === "user") mapUserMessage(content, mapped);
    else mapAssistantMessage(content, mapped);
  }
  return mapped;
}

/** Tool results are messages of their own, directly after the message that asked for them. */
function mapUserMessage(content: readonly ContentPart[], mapped: ChatCompletionMessageParam[]) {
  const only = content.length === 1 ? content[0] : undefined;
  if (only?.type === "text") {
    mapped.push({ role: "user", content: only.text });
    return;
  }
  const parts: ChatCompletionContentPart[] = [];
  for (const part of content) {
    if (part.type === "tool_result") {
      mapped.push({
        role: "tool",
        tool_call_id: part.toolCallId,
        content: toolResultText(part),
      });
    } else if (part.type === "text") {
      parts.push({ type: "text", text: part.text });
    } else if (part.type === "image") {
      parts.push({ type: "image_url", image_url: { url: imageUrl(part) } });
    }
  }
  if (parts.length > 0) mapped.push({ role: "user", content: parts });
}

/**
 * Thoughts are left out: Chat Completions has no place for them, and compatible
 * servers ask not to be sent them.
 */
function mapAssistantMessage(
  content: readonly ContentPart[],
  mapped: ChatCompletionMessageParam[],
) {
  let text = "";
  let calls: ToolCallPart[] | undefined;
  for (const part of content) {
    if (part.type === "text") text += part.text;
    else if (part.type === "tool_call") (calls ??= []).push(part);
  }
  if (calls === undefined) {
    mapped.push({ role: "assistant", content: text });
    return;
  }
  mapped.push({
    role: "assistant",
    content: text || null,
    tool_calls: calls.map((call) => ({
      id: call.toolCallId,
      type: "function",
      function: { name: call.name, arguments: call.arguments || "{}" },
    })),
  });
}

/** The protocol has no mark for a failed tool, so the text says it. */
function toolResultText(part: ToolResultPart): string {
  return part.isError ? `Error: ${part.content}` : part.content;
}

function imageUrl(part: ImagePart): string {
  return part.url ?? `data:${part.mediaType};base64,${part.data}`;
}
