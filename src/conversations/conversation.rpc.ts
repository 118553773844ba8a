import type { ServiceImpl } from "@connectrpc/connect";
import {
  type ConversationService,
  ExportFormat,
  type UpdateConversationRequest,
} from "../../gen/tribe/v1/conversation_pb.js";
import { DomainError, invalidField, notFound } from "../errors.ts";
import { requireCaller } from "../identity/caller.ts";
import { decodePageToken, encodePageToken, isUuid, type PageCursor } from "../page-token.ts";
import { storableText } from "./content.rpc.ts";
import type { ConversationFields, ConversationRepository } from "./conversation.repository.ts";
import { exportConversation, jsonLines, markdown } from "./export.ts";
import type { MessageRepository } from "./message.repository.ts";
import { toProtoConversation, toProtoMessage } from "./message.rpc.ts";
import type { MessageSearchRepository } from "./search.repository.ts";
import { searchMessages } from "./search.rpc.ts";

/** What the Conversation service is made of. */
export interface ConversationServiceParts {
  conversations: ConversationRepository;
  messages: MessageRepository;
  search: MessageSearchRepository;
}

/** How many conversations or messages a page has unless told otherwise. */
const defaultPageSize = 50;

/** The Conversation service: from the contract to the repositories and back. */
export function createConversationService(parts: ConversationServiceParts) {
  const { conversations, messages } = parts;
  return {
    async createConversation({ title, system, metadata }, { values }) {
      const { userId } = requireCaller(values);
      const created = await conversations.create(userId, {
        title: storableText(title, "title"),
        system: storableText(system, "system") || undefined,
        metadata: storableMetadata(metadata, "metadata"),
      });
      return { conversation: toProtoConversation(created) };
    },

    async listConversations({ pageSize, pageToken }, { values }) {
      const { userId } = requireCaller(values);
      const limit = pageSize || defaultPageSize;
      const scope = ["ListConversations", userId];
      const cursor = decodePageToken(pageToken, scope, isRecencyCursor);
      const after = cursor && { updateTime: new Date(cursor[0]), conversationId: cursor[1] };
      const found = await conversations.list(userId, limit + 1, after);
      const page = found.slice(0, limit);
      const last = found.length > limit ? page.at(-1) : undefined;
      return {
        conversations: page.map(toProtoConversation),
        nextPageToken:
          last === undefined
            ? ""
            : encodePageToken(scope, [last.updateTime.getTime(), last.conversationId]),
      };
    },

    async getConversation({ conversationId }, { values }) {
      const { userId } = requireCaller(values);
      const found = await conversations.find(userId, conversationId);
      if (found === undefined) throw notFound("conversation", conversationId);
      return { conversation: toProtoConversation(found) };
    },

    async updateConversation(request, { values }) {
      const { userId } = requireCaller(values);
      const { conversationId, etag } = request.conversation ?? missingConversation();
      const updated = await conversations.update(
        userId,
        conversationId,
        conversationChanges(request),
        etag || undefined,
      );
      if (updated === "not_found") throw notFound("conversation", conversationId);
      if (updated === "changed_meanwhile") {
        throw new DomainError(
          "ABORTED",
          "ETAG_MISMATCH",
          "the conversation has changed meanwhile; get it and try again with its etag",
        );
      }
      return { conversation: toProtoConversation(updated) };
    },

    async deleteConversation({ conversationId }, { values }) {
      const { userId } = requireCaller(values);
      const deleted = await conversations.delete(userId, conversationId);
      if (!deleted) throw notFound("conversation", conversationId);
      return {};
    },

    async listMessages(request, { values }) {
      const { userId } = requireCaller(values);
      const { conversationId, leafMessageId, newestFirst } = request;
      const scope = ["ListMessages", userId, conversationId, leafMessageId, newestFirst];
      const page = await messages.page({
        userId,
        conversationId,
        leafMessageId: leafMessageId || undefined,
        newestFirst,
        limit: request.pageSize || defaultPageSize,
        after: decodePageToken(request.pageToken, scope, isPositionCursor)?.[0],
      });
      if (page === "not_found") throw notFound("conversation", conversationId);
      if (page === "leaf_not_found") throw notOfThisConversation("leafMessageId");
      return {
        messages: page.messages.map(toProtoMessage),
        nextPageToken: page.next === undefined ? "" : encodePageToken(scope, [page.next]),
      };
    },

    async forkConversation({ conversationId, messageId, title }, { values }) {
      const { userId } = requireCaller(values);
      const copy = await conversations.fork(
        userId,
        conversationId,
        messageId || undefined,
        storableText(title, "title") || undefined,
      );
      if (copy === "not_found") throw notFound("conversation", conversationId);
      if (copy === "message_not_found") throw notOfThisConversation("messageId");
      return { conversation: toProtoConversation(copy) };
    },

    async *exportConversation({ conversationId, format, leafMessageId }, { values }) {
      const { userId } = requireCaller(values);
      const writer = format === ExportFormat.MARKDOWN ? markdown : jsonLines;
      const { contentType } = writer;
      const request = { userId, conversationId, leafMessageId: leafMessageId || undefined };
      for await (const data of exportConversation(parts, request, writer)) {
        yield { contentType, data };
      }
    },

    searchMessages: (request, { values, signal }) =>
      searchMessages(parts.search, requireCaller(values).userId, request, signal),
  } satisfies Partial<ServiceImpl<typeof ConversationService>>;
}

/** The fields that may be changed, as a mask names them. */
const changeable = ["title", "system", "metadata"] as const;

function conversationChanges(request: UpdateConversationRequest): Partial<ConversationFields> {
  const { title, system, metadata } = request.conversation ?? missingConversation();
  const given = { title: title !== "", system: system !== "", metadata: !isEmpty(metadata) };
  const paths = request.updateMask?.paths ?? changeable.filter((field) => given[field]);
  const unknown = paths.find((path) => !changeable.some((field) => field === path));
  if (unknown !== undefined) {
    throw invalidField("updateMask", `cannot change "${unknown}", only ${changeable.join(", ")}`);
  }
  const changes: Partial<ConversationFields> = {};
  if (paths.includes("title")) changes.title = storableText(title, "conversation.title");
  if (paths.includes("system")) {
    changes.system = storableText(system, "conversation.system") || undefined;
  }
  if (paths.includes("metadata")) {
    changes.metadata = storableMetadata(metadata, "conversation.metadata");
  }
  return changes;
}

function storableMetadata(metadata: Record<string, string>, field: string) {
  for (const [key, value] of Object.entries(metadata)) {
    storableText(key, field);
    storableText(value, `${field}[${JSON.stringify(key)}]`);
  }
  return metadata;
}

function isEmpty(metadata: Record<string, string>): boolean {
  return Object.keys(metadata).length === 0;
}

function missingConversation(): never {
  throw invalidField("conversation", "is missing; send it with its conversationId");
}

function notOfThisConversation(field: string): DomainError {
  return invalidField(field, "is no message of this conversation; ListMessages gives them");
}

function isRecencyCursor(cursor: PageCursor): cursor is [updateTime: number, id: string] {
  const [updateTime, id, ...rest] = cursor;
  return rest.length === 0 && isWhole(updateTime, latestTime) && isUuid(id);
}

function isPositionCursor(cursor: PageCursor): cursor is [position: number] {
  return cursor.length === 1 && isWhole(cursor[0], lastPosition);
}

/** The last moment that a Date can hold. */
const latestTime = 8_640_000_000_000_000;

/** No conversation is longer, and a page beyond it still fits PostgreSQL's int. */
const lastPosition = 2_000_000_000;

function isWhole(value: unknown, maximum: number): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= maximum;
}
