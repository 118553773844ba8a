import { DomainError } from "../errors.ts";
import { violatedConstraint } from "../postgres/failure.ts";
import type { Postgres, Statement } from "../postgres/postgres.ts";
import type { StoredMessage } from "./message.ts";
import { type MessageRow, toStoredMessage } from "./message.row.ts";
import { plainVault, type Vault } from "./vault.ts";
import {
  indexAny,
  indexOwn,
  marks,
  ownerWord,
  searchConversation,
  searchEverywhere,
  type SearchRow,
} from "./search.statements.ts";

/** What to search for, in whose messages, and where. */
export interface SearchRequest {
  userId: string;
  /** Words, "phrases", `or` and `-not`. */
  query: string;
  conversationId: string | undefined;
  role: StoredMessage["role"] | undefined;
  /** From this time on. */
  startTime: Date | undefined;
  /** Up to but without this time. */
  endTime: Date | undefined;
  limit: number;
  after: SearchCursor | undefined;
}

/** Where a page of results ended. */
export interface SearchCursor {
  /** The rank exactly as PostgreSQL wrote it. */
  rank: string;
  messageId: string;
}

/** A message that matches. */
export interface SearchResult {
  message: StoredMessage;
  /** HTML: its best passages, escaped, with the matching words in `<mark>`. */
  snippet: string;
  rank: number;
}

export interface SearchPage {
  /** The best first. */
  results: SearchResult[];
  /** Undefined on the last page. */
  next: SearchCursor | undefined;
}

/** The words of messages. */
export interface MessageSearchRepository {
  /**
   * Finds the user's own messages, also those of a moment ago. Of more than 10,000
   * matches the newest are ranked. FAILED_PRECONDITION while messages are sealed: an index of
   * their words would be a copy of them in the clear.
   */
  search(request: SearchRequest, signal?: AbortSignal): Promise<SearchPage>;
  /** Stores the words of at most 200 messages. Returns how many were looked at. */
  indexSome(): Promise<number>;
}

/** How many messages are looked at in one statement. */
const batchSize = 200;

/** How many batches a search waits for. The background does the rest. */
const batchesBeforeSearch = 25;

/** The search in PostgreSQL. */
export function createMessageSearchRepository(
  postgres: Postgres,
  vault: Vault = plainVault,
): MessageSearchRepository {
  async function index(statement: Statement, values: unknown[]): Promise<number> {
    try {
      const [row] = await postgres.query<[number]>(statement, values);
      return row?.[0] ?? 0;
    } catch (error) {
      // A conversation was deleted meanwhile; the next look does not see its messages.
      if (violatedConstraint(error) === undefined) throw error;
      return batchSize;
    }
  }
  return {
    indexSome: () => index(indexAny, [batchSize]),
    async search(request, signal) {
      if (vault.isSealing) throw searchIsOff();
      for (let batch = 0; batch < batchesBeforeSearch; batch += 1) {
        if ((await index(indexOwn, [batchSize, request.userId])) < batchSize) break;
      }
      const { conversationId, limit, after } = request;
      const values = [
        request.userId,
        request.query,
        `'${ownerWord(request.userId)}'`,
        request.role,
        request.startTime,
        request.endTime,
        after?.rank,
        after?.messageId,
        // One more than asked for tells whether there is a next page.
        limit + 1,
      ];
      const rows =
        conversationId === undefined
          ? await postgres.read<SearchRow>(searchEverywhere, values, signal)
          : await postgres.read<SearchRow>(searchConversation, [...values, conversationId], signal);
      return toSearchPage(rows, limit, vault);
    },
  };
}

function searchIsOff(): DomainError {
  return new DomainError(
    "FAILED_PRECONDITION",
    "SEARCH_IS_OFF",
    "messages are encrypted at rest, so that their words are in no index; search is off",
  );
}

function toSearchPage(rows: SearchRow[], limit: number, vault: Vault): SearchPage {
  const page = rows.slice(0, limit);
  const results = page.map(([json, rank, headline]) => ({
    message: toStoredMessage(JSON.parse(json) as MessageRow, vault),
    snippet: toHtml(headline),
    rank: Number(rank),
  }));
  const last = page.at(-1);
  const messageId = results.at(-1)?.message.messageId;
  const isMore = last !== undefined && messageId !== undefined && last[3] > page.length;
  return { results, next: isMore ? { rank: last[1], messageId } : undefined };
}

const entities: Record<string, string> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
  [marks.less]: "&lt;",
  [marks.start]: "<mark>",
  [marks.end]: "</mark>",
};

function toHtml(headline: string): string {
  // oxlint-disable-next-line no-control-regex -- these are our own marks
  return headline.replaceAll(/[&<>"'\u0001-\u0003]/g, (character) => entities[character] ?? "");
}
