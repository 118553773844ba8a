import type {
  SearchMessagesRequest,
  SearchResult as ProtoSearchResult,
} from "../../gen/tribe/v1/conversation_pb.js";
import { decodePageToken, encodePageToken, isUuid, type PageCursor } from "../page-token.ts";
import { storableText } from "./content.rpc.ts";
import { fromProtoRole, fromProtoTimestamp, toProtoMessage } from "./message.rpc.ts";
import type { MessageSearchRepository, SearchResult } from "./search.repository.ts";

/** How many results a page has unless told otherwise. */
const defaultPageSize = 20;

/** SearchMessages: from the contract to the repository and back. */
export async function searchMessages(
  search: MessageSearchRepository,
  userId: string,
  request: SearchMessagesRequest,
  signal: AbortSignal,
) {
  const startTime = fromProtoTimestamp(request.startTime, "startTime");
  const endTime = fromProtoTimestamp(request.endTime, "endTime");
  const { conversationId, role } = request;
  const query = storableText(request.query, "query");
  const scope = ["SearchMessages", userId, query, conversationId, role, startTime, endTime];
  const cursor = decodePageToken(request.pageToken, scope, isSearchCursor);
  const page = await search.search(
    {
      userId,
      query,
      conversationId: conversationId || undefined,
      role: fromProtoRole(role),
      startTime,
      endTime,
      limit: request.pageSize || defaultPageSize,
      after: cursor && { rank: cursor[0], messageId: cursor[1] },
    },
    signal,
  );
  return {
    results: page.results.map(toProtoSearchResult),
    nextPageToken:
      page.next === undefined ? "" : encodePageToken(scope, [page.next.rank, page.next.messageId]),
  };
}

function toProtoSearchResult({ message, snippet, rank }: SearchResult): ProtoSearchResult {
  return {
    $typeName: "tribe.v1.SearchResult",
    message: toProtoMessage(message),
    snippet,
    rank,
  };
}

function isSearchCursor(cursor: PageCursor): cursor is [rank: string, messageId: string] {
  const [rank, messageId, ...rest] = cursor;
  return (
    rest.length === 0 &&
    typeof rank === "string" &&
    /^[0-9.]+(e[+-]?[0-9]{1,2})?$/.test(rank) &&
    Math.fround(Number(rank)) <= 1 &&
    isUuid(messageId)
  );
}
