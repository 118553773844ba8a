import type { ContentPart, ImagePart } from "../providers/content.ts";
import type { StoredConversation } from "./conversation.repository.ts";
import type { StoredMessage } from "./message.ts";

/** The beginning of a conversation as Markdown: its title and its system prompt. */
export function conversationMarkdown({ title, system }: StoredConversation): string {
  const heading = `# ${title.replaceAll(/\s+/g, " ").trim() || "Conversation"}\n`;
  return system === undefined ? heading : `${heading}\n${quote(system)}\n`;
}

/**
 * A message as Markdown, to be read: texts as they are, everything else set apart.
 * `previous` is the message before it in the file; another parent is pointed out.
 */
export function messageMarkdown(message: StoredMessage, previous: string | undefined): string {
  const { answer, messageId, parentMessageId } = message;
  const who = message.role === "user" ? "User" : `Assistant (${answer?.model ?? ""})`;
  const blocks = [
    `## ${message.sequence}. ${who}`,
    `<!-- ${messageId} ${message.createTime.toISOString()} -->`,
  ];
  if (parentMessageId !== previous) {
    blocks.push(
      parentMessageId === undefined
        ? "*A new beginning.*"
        : `*Continues from message ${parentMessageId}.*`,
    );
  }
  for (const part of message.content) blocks.push(partMarkdown(part));
  if (message.status !== "completed") blocks.push(`*The answer is ${message.status}.*`);
  return `\n${blocks.join("\n\n")}\n`;
}

function partMarkdown(part: ContentPart): string {
  switch (part.type) {
    case "text":
      return part.text;
    case "image":
      return imageMarkdown(part);
    case "tool_call":
      return `Calls the tool \`${part.name}\`:\n\n${fence(part.arguments, "json")}`;
    case "tool_result":
      return `The tool ${part.isError === true ? "failed" : "answered"}:\n\n${fence(part.content, "")}`;
    case "reasoning":
      return part.text === "" ? "*Thoughts that are encrypted.*" : quote(part.text);
  }
}

function imageMarkdown({ url, data = "", mediaType = "image" }: ImagePart): string {
  return url === undefined
    ? `*A picture: ${mediaType}, ${Buffer.byteLength(data, "base64")} bytes.*`
    : `![A picture](<${url}>)`;
}

function quote(text: string): string {
  return text.replaceAll(/^/gm, "> ");
}

/** A fence longer than any in the text. */
function fence(text: string, language: string): string {
  const runs = text.match(/`+/g) ?? [];
  const marks = "`".repeat(runs.reduce((longest, run) => Math.max(longest, run.length + 1), 3));
  return `${marks}${language}\n${text}\n${marks}`;
}
