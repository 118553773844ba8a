import { randomUUIDv7 } from "node:crypto";
import { type EntityManager, raw } from "@mikro-orm/postgresql";
import type { Postgres } from "../postgres/postgres.ts";
import { type Conversation, ConversationEntity } from "./conversation.entity.ts";
import { fork } from "./fork.statement.ts";

/** A conversation without its messages. */
export interface StoredConversation {
  /** UUIDv7. */
  conversationId: string;
  title: string;
  system: string | undefined;
  metadata: Readonly<Record<string, string>>;
  /** The message that the next turn continues from; undefined in an empty conversation. */
  headMessageId: string | undefined;
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
export function createConversationRepository(postgres: Postgres): ConversationRepository {
  async function find(userId: string, id: string) {
    const row = await postgres.work((em) => em.findOne(ConversationEntity, { id, userId }));
    return row === null ? undefined : toStoredConversation(row);
  }
  return {
    find,
    create: (userId, { title, system, metadata }) =>
      postgres.work(async (em) => {
        const row = em.create(ConversationEntity, {
          id: randomUUIDv7(),
          userId,
          title,
          system: system ?? null,
          metadata: { ...metadata },
          headMessageId: null,
        });
        await em.flush();
        return toStoredConversation(row);
      }),
    list: (userId, limit, after) =>
      postgres.work(async (em) => {
        const rows = await recentConversations(em, userId, limit, after).getResultList();
        return rows.map(toStoredConversation);
      }),
    update: (userId, id, changes, etag) =>
      postgres.work(async (em) => {
        const { system, ...rest } = changes;
        if (Object.keys(changes).length === 0) return unchanged(await find(userId, id), etag);
        const count = await em.nativeUpdate(
          ConversationEntity,
          { id, userId, ...(etag !== undefined && { version: toVersion(etag) }) },
          {
            ...rest,
            ...("system" in changes && { system: system ?? null }),
            version: raw<number>("version + 1"),
            updateTime: raw<Date>("clock_timestamp()"),
          },
        );
        const row = await em.findOne(ConversationEntity, { id, userId });
        if (row === null) return "not_found";
        return count === 0 ? "changed_meanwhile" : toStoredConversation(row);
      }),
    delete: (userId, id) =>
      postgres.work(async (em) => (await em.nativeDelete(ConversationEntity, { id, userId })) > 0),
    async fork(userId, conversationId, messageId, title) {
      const copy = await fork(postgres, { userId, conversationId, messageId, title });
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

function toStoredConversation(row: Conversation): StoredConversation {
  return {
    conversationId: row.id,
    title: row.title,
    system: row.system ?? undefined,
    metadata: row.metadata,
    headMessageId: row.headMessageId ?? undefined,
    createTime: row.createTime,
    updateTime: row.updateTime,
    etag: String(row.version),
  };
}
