import { randomUUIDv7 } from "node:crypto";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { ConversationService } from "../../gen/tribe/v1/conversation_pb.js";
import { createTurnRepository, type TurnOpening } from "../../src/chat/turn.repository.ts";
import { createConversationRepository } from "../../src/conversations/conversation.repository.ts";
import { createConversationService } from "../../src/conversations/conversation.rpc.ts";
import { createMessageRepository } from "../../src/conversations/message.repository.ts";
import { createMessageSearchRepository } from "../../src/conversations/search.repository.ts";
import { opening, settlement } from "../chat/turns.ts";
import type { TestDatabase } from "../support/postgres.ts";
import { contextOf, requestOf } from "./calls.ts";

/** The Conversation service on a database, and turns to fill it with. */
export function createConversations({ postgres }: TestDatabase) {
  const service = createConversationService({
    conversations: createConversationRepository(postgres),
    messages: createMessageRepository(postgres),
    search: createMessageSearchRepository(postgres),
  });
  const turns = createTurnRepository(postgres);
  const { method } = ConversationService;
  type Request<Name extends keyof typeof method> = MessageInitShape<(typeof method)[Name]["input"]>;

  return {
    create: async (userId: string, request: Request<"createConversation"> = {}) =>
      (
        await service.createConversation(
          requestOf(method.createConversation, request),
          contextOf(method.createConversation, userId),
        )
      ).conversation,
    list: (userId: string, request: Request<"listConversations"> = {}) =>
      service.listConversations(
        requestOf(method.listConversations, request),
        contextOf(method.listConversations, userId),
      ),
    get: async (userId: string, conversationId: string) =>
      (
        await service.getConversation(
          requestOf(method.getConversation, { conversationId }),
          contextOf(method.getConversation, userId),
        )
      ).conversation,
    update: async (userId: string, request: Request<"updateConversation">) =>
      (
        await service.updateConversation(
          requestOf(method.updateConversation, request),
          contextOf(method.updateConversation, userId),
        )
      ).conversation,
    delete: (userId: string, conversationId: string) =>
      service.deleteConversation(
        requestOf(method.deleteConversation, { conversationId }),
        contextOf(method.deleteConversation, userId),
      ),
    messages: (userId: string | undefined, request: Request<"listMessages">) =>
      service.listMessages(
        requestOf(method.listMessages, request),
        contextOf(method.listMessages, userId),
      ),
    fork: async (userId: string, request: Request<"forkConversation">) =>
      (
        await service.forkConversation(
          requestOf(method.forkConversation, request),
          contextOf(method.forkConversation, userId),
        )
      ).conversation,
    search: (userId: string, request: Request<"searchMessages">) =>
      service.searchMessages(
        requestOf(method.searchMessages, request),
        contextOf(method.searchMessages, userId),
      ),
    /** The whole file, and of what pieces it came. */
    async exported(userId: string, request: Request<"exportConversation">) {
      const pieces = service.exportConversation(
        requestOf(method.exportConversation, request),
        contextOf(method.exportConversation, userId),
      );
      const data: Uint8Array[] = [];
      const contentTypes = new Set<string>();
      for await (const piece of pieces) {
        data.push(piece.data);
        contentTypes.add(piece.contentType);
      }
      return {
        text: Buffer.concat(data).toString(),
        contentTypes: [...contentTypes],
        sizes: data.map(({ length }) => length),
      };
    },
    /** A stored turn that says `text` and is answered `text!`. */
    async turn(userId: string, text: string, changes: Partial<TurnOpening> = {}) {
      const asked = opening(userId, { content: [{ type: "text", text }], ...changes });
      const opened = await turns.open(asked);
      if ("refused" in opened) throw new Error(opened.refused);
      await turns.settle(
        settlement(asked, opened, { content: [{ type: "text", text: `${text}!` }] }),
      );
      return {
        conversationId: opened.conversationId,
        userMessageId: asked.userMessageId,
        assistantMessageId: asked.assistantMessageId,
        runId: asked.runId,
      };
    },
  };
}

/** An id that nothing has. */
export const nobody = randomUUIDv7();
