import { toJsonString } from "@bufbuild/protobuf";
import { ConversationSchema } from "../../gen/tribe/v1/conversation_pb.js";
import { MessageSchema } from "../../gen/tribe/v1/message_pb.js";
import { invalidField, notFound } from "../errors.ts";
import type { ConversationRepository, StoredConversation } from "./conversation.repository.ts";
import { conversationMarkdown, messageMarkdown } from "./markdown.ts";
import type { StoredMessage } from "./message.ts";
import type { MessageRepository } from "./message.repository.ts";
import { toProtoConversation, toProtoMessage } from "./message.rpc.ts";

/** A form of file. */
export interface ExportWriter {
  contentType: string;
  start(conversation: StoredConversation): string;
  /** `previous` is the id of the message before it in the file. */
  message(message: StoredMessage, previous: string | undefined): string;
}

/** One Message as JSON a line, after the Conversation on the first. */
export const jsonLines: ExportWriter = {
  contentType: "application/jsonl; charset=utf-8",
  start: (conversation) =>
    `${toJsonString(ConversationSchema, toProtoConversation(conversation))}\n`,
  message: (message) => `${toJsonString(MessageSchema, toProtoMessage(message))}\n`,
};

/** Markdown, to read. */
export const markdown: ExportWriter = {
  contentType: "text/markdown; charset=utf-8",
  start: conversationMarkdown,
  message: messageMarkdown,
};

/** What to export, and for whom. */
export interface ExportRequest {
  userId: string;
  conversationId: string;
  /** Only the branch that ends in this message. Undefined: the whole tree. */
  leafMessageId: string | undefined;
}

/** Where exports come from. */
export interface ExportParts {
  conversations: ConversationRepository;
  messages: MessageRepository;
}

/** The most messages that are in memory at a time. */
const batchSize = 100;

/**
 * Pieces of at most this many bytes, well below what gRPC clients take by default. Small
 * ones are put together up to it.
 */
const pieceBytes = 256 * 1024;

/**
 * A conversation as a file, piece by piece. Reads the next batch only when its pieces are
 * asked for, so it needs the same memory however long the conversation is.
 */
export async function* exportConversation(
  { conversations, messages }: ExportParts,
  request: ExportRequest,
  writer: ExportWriter,
): AsyncGenerator<Uint8Array, void, undefined> {
  const { userId, conversationId } = request;
  const conversation = await conversations.find(userId, conversationId);
  if (conversation === undefined) throw notFound("conversation", conversationId);
  let text = writer.start(conversation);
  let previous: string | undefined;
  let after: number | undefined;
  do {
    const page = await messages.page({ ...request, newestFirst: false, limit: batchSize, after });
    if (page === "not_found") throw notFound("conversation", conversationId);
    if (page === "leaf_not_found") {
      throw invalidField("leafMessageId", "is no message of this conversation");
    }
    for (const message of page.messages) {
      text += writer.message(message, previous);
      previous = message.messageId;
      if (text.length >= pieceBytes) {
        yield* pieces(text);
        text = "";
      }
    }
    after = page.next;
  } while (after !== undefined);
  yield* pieces(text);
}

function* pieces(text: string): Generator<Uint8Array, void, undefined> {
  const bytes = Buffer.from(text);
  for (let start = 0; start < bytes.length; start += pieceBytes) {
    yield bytes.subarray(start, start + pieceBytes);
  }
}
