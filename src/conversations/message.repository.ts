import type { Postgres } from "../postgres/postgres.ts";
import type { StoredMessage } from "./message.ts";
import {
  branchPage,
  type BranchPageRow,
  treePage,
  type TreePageRow,
} from "./message.statements.ts";
import { type MessageRow, toStoredMessage } from "./message.row.ts";
import { plainVault, type Vault } from "./vault.ts";

/** Which page of a conversation's messages to read. */
export interface MessagePageRequest {
  userId: string;
  conversationId: string;
  /** Only the branch that ends in this message. Undefined: all branches. */
  leafMessageId: string | undefined;
  newestFirst: boolean;
  /** The most messages to read. */
  limit: number;
  /** `next` of the page before. */
  after: number | undefined;
}

/** Some messages of a conversation, in the order that was asked for. */
export interface MessagePage {
  messages: StoredMessage[];
  /** Where the next page begins; undefined on the last. */
  next: number | undefined;
}

/** The messages of conversations. */
export interface MessageRepository {
  /**
   * Reads one page. It costs the same wherever it is and however long the conversation.
   * A page ends early when it is about a megabyte large, but has at least one message.
   */
  page(request: MessagePageRequest): Promise<MessagePage | "not_found" | "leaf_not_found">;
}

/** The messages in PostgreSQL. */
export function createMessageRepository(
  postgres: Postgres,
  vault: Vault = plainVault,
): MessageRepository {
  return {
    page: (request) =>
      request.leafMessageId === undefined
        ? readTree(postgres, vault, request)
        : readBranch(postgres, vault, request, request.leafMessageId),
  };
}

async function readTree(postgres: Postgres, vault: Vault, request: MessagePageRequest) {
  const { userId, conversationId, newestFirst, limit, after } = request;
  // One more than asked for tells whether there is a next page.
  const rows = await postgres.read<TreePageRow>(
    newestFirst ? treePage.newestFirst : treePage.oldestFirst,
    [conversationId, userId, after ?? (newestFirst ? Number.MAX_SAFE_INTEGER : 0), limit + 1],
  );
  if (rows.length === 0) return "not_found";
  const messages: StoredMessage[] = [];
  let found = 0;
  for (const [message, count] of rows) {
    if (message === null) break;
    found = Number(count);
    if (messages.length < limit) messages.push(parse(message, vault));
  }
  const next = found > messages.length ? messages.at(-1)?.sequence : undefined;
  return { messages, next };
}

async function readBranch(
  postgres: Postgres,
  vault: Vault,
  request: MessagePageRequest,
  leafId: string,
) {
  const { userId, conversationId, newestFirst, limit, after } = request;
  // Depths of the page: from `bottom` to `top`, and `limit` messages at the most.
  const bottom = newestFirst ? 1 : (after ?? 0) + 1;
  const top = newestFirst ? (after ?? deepest + 1) - 1 : bottom + limit - 1;
  const rows = await postgres.read<BranchPageRow>(
    newestFirst ? branchPage.newestFirst : branchPage.oldestFirst,
    [conversationId, userId, leafId, top, bottom, limit],
  );
  if (rows.length === 0) return "not_found";
  const leafDepth = rows[0]?.[2];
  if (leafDepth === undefined || leafDepth === null) return "leaf_not_found";
  const found = rows.flatMap(([message, depth]) =>
    message === null ? [] : [{ depth, message: parse(message, vault) }],
  );
  found.sort((one, other) => (newestFirst ? other.depth - one.depth : one.depth - other.depth));
  const last = found.at(-1)?.depth;
  const isLast = last === undefined || (newestFirst ? last === 1 : last === leafDepth);
  return { messages: found.map(({ message }) => message), next: isLast ? undefined : last };
}

/** The largest depth that the database can hold. */
const deepest = 2_147_483_646;

function parse(json: string, vault: Vault): StoredMessage {
  return toStoredMessage(JSON.parse(json) as MessageRow, vault);
}
