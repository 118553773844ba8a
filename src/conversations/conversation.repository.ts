import { randomUUIDv7 } from "node:crypto";
import { type EntityManager, raw } from "@mikro-orm/postgresql";
import type { Postgres } from "../postgres/postgres.ts";
import { type Conversation, ConversationEntity } from "./conversation.entity.ts";
import { type ConversationColumns, fork } from "./fork.statement.ts";
import { plainVault, type Vault } from "./vault.ts";

/** A conversation without its messages. */
export interface StoredConversation {
  /** UUIDv7. */
  conversationId: string;
  title: string;
  system: string | undefined;
  metadata: Readonly<Record<string, string>>;
  /** The message that the next turn continues from; undefined in an empty conversation. */
  headMessageId: string | undefined;
  /** Of all its turns. */
  inputTokens: number;
  /** Of those, how many came from a provider's cache. */
  cachedInputTokens: number;
  createTime: Date;
  updateTime: Date;
  /** Changes with every change. */
  etag: string;
}

/** What a caller may set of a conversation. */
export interface ConversationFields {
  title: string;
  system: string | undefined;
  metadata: Readonly<Record<string, string>>;
}

/** Where a page of conversations ended. */
export type ConversationCursor = Pick<StoredConversation, "updateTime" | "conversationId">;

/** The conversations of users. Somebody else's are not found. */
export interface ConversationRepository {
  create(userId: string, fields: ConversationFields): Promise<StoredConversation>;
  /** The last used first, those after the cursor; at most `limit`. */
  list(
    userId: string,
    limit: number,
    after: ConversationCursor | undefined,
  ): Promise<StoredConversation[]>;
  find(userId: string, conversationId: string): Promise<StoredConversation | undefined>;
  /** Only if it has the etag, when one is given. */
  update(
    userId: string,
    conversationId: string,
    changes: Partial<ConversationFields>,
    etag: string | undefined,
  ): Promise<StoredConversation | "not_found" | "changed_meanwhile">;
  /** With all its messages and runs. Returns whether it was there. */
  delete(userId: string, conversationId: string): Promise<boolean>;
  /**
   * Copies the branch that ends in a message (undefined: in the head) to a new
   * conversation, in the same order, with new ids. Copied answers belong to no run and
   * are not billed again. Without a title it gets the original's.
   */
  fork(
    userId: string,
    conversationId: string,
    messageId: string | undefined,
    title: string | undefined,
  ): Promise<StoredConversation | "not_found" | "message_not_found">;
}

/** The conversations in PostgreSQL. */
export function createConversationRepository(
  postgres: Postgres,
  vault: Vault = plainVault,
): ConversationRepository {
  async function find(userId: string, id: string) {
    const row = await postgres.work((em) => em.findOne(ConversationEntity, { id, userId }));
    return row === null ? undefined : toStoredConversation(row, vault);
  }
  return {
    find,
    create: (userId, { title, system, metadata }) =>
      postgres.work(async (em) => {
        const id = randomUUIDv7();
        const row = em.create(ConversationEntity, {
          id,
          userId,
          ...toColumns(vault, id, { title, system, metadata }),
          headMessageId: null,
        });
        await em.flush();
        return toStoredConversation(row, vault);
      }),
    list: (userId, limit, after) =>
      postgres.work(async (em) => {
        const rows = await recentConversations(em, userId, limit, after).getResultList();
        return rows.map((row) => toStoredConversation(row, vault));
      }),
    update: (userId, id, changes, etag) =>
      postgres.work(async (em) => {
        if (Object.keys(changes).length === 0) return unchanged(await find(userId, id), etag);
        const count = await em.nativeUpdate(
          ConversationEntity,
          { id, userId, ...(etag !== undefined && { version: toVersion(etag) }) },
          {
            ...toColumns(vault, id, changes),
            version: raw<number>("version + 1"),
            updateTime: raw<Date>("clock_timestamp()"),
          },
        );
        const row = await em.findOne(ConversationEntity, { id, userId });
        if (row === null) return "not_found";
        return count === 0 ? "changed_meanwhile" : toStoredConversation(row, vault);
      }),
    delete: (userId, id) =>
      postgres.work(async (em) => (await em.nativeDelete(ConversationEntity, { id, userId })) > 0),
    async fork(userId, conversationId, messageId, title) {
      const original = await find(userId, conversationId);
      if (original === undefined) return "not_found";
      const fields = { ...original, title: title ?? original.title };
      const copy = await fork(postgres, vault, {
        userId,
        conversationId,
        messageId,
        columns: (copyId) => toColumns(vault, copyId, fields),
      });
      if (copy === "not_found" || copy === "message_not_found") return copy;
      return (await find(userId, copy.conversationId)) ?? "not_found";
    },
  };
}

/** The query of `list`. */
export function recentConversations(
  em: EntityManager,
  userId: string,
  limit: number,
  after: ConversationCursor | undefined,
) {
  const query = em.createQueryBuilder(ConversationEntity).where({ userId });
  if (after !== undefined) {
    query.andWhere("(update_time, id) < (?, ?)", [after.updateTime, after.conversationId]);
  }
  return query.orderBy({ updateTime: "desc", id: "desc" }).limit(limit);
}

function unchanged(found: StoredConversation | undefined, etag: string | undefined) {
  if (found === undefined) return "not_found";
  return etag === undefined || etag === found.etag ? found : "changed_meanwhile";
}

/** An etag that we never gave is the version of no conversation. */
function toVersion(etag: string): number {
  return /^[1-9][0-9]{0,15}$/.test(etag) ? Number(etag) : 0;
}

/** The columns of those fields that are given. */
function toColumns(vault: Vault, id: string, fields: ConversationFields): ConversationColumns;
function toColumns(
  vault: Vault,
  id: string,
  fields: Partial<ConversationFields>,
): Partial<ConversationColumns>;
function toColumns(
  vault: Vault,
  id: string,
  fields: Partial<ConversationFields>,
): Partial<ConversationColumns> {
  const { title, system, metadata } = fields;
  return {
    ...(title !== undefined && { title: vault.text(title, "conversation/title", id) }),
    ...("system" in fields && {
      system: system === undefined ? null : vault.text(system, "conversation/system", id),
    }),
    ...(metadata !== undefined && {
      // jsonb holds it as it is: an object, or the string that it is sealed in.
      metadata: JSON.parse(vault.jsonb(metadata, "conversation/metadata", id)) as Record<
        string,
        string
      >,
    }),
  };
}

function toStoredConversation(row: Conversation, vault: Vault): StoredConversation {
  return {
    conversationId: row.id,
    title: vault.fromText(row.title, "conversation/title", row.id),
    system:
      row.system == null ? undefined : vault.fromText(row.system, "conversation/system", row.id),
    metadata: vault.fromJsonb(row.metadata, "conversation/metadata", row.id),
    headMessageId: row.headMessageId ?? undefined,
    inputTokens: row.inputTokens,
    cachedInputTokens: row.cachedInputTokens,
    createTime: row.createTime,
    updateTime: row.updateTime,
    etag: String(row.version),
  };
}
