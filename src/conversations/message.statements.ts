import type { Statement } from "../postgres/postgres.ts";
import { ancestorAt } from "./branch.ts";
import { messageJson } from "./message.row.ts";

/** A page holds no more than this of stored (compressed) content, in bytes. */
const pageBytes = 1_000_000;

/** Null, null: the conversation has no such messages. No row: there is no conversation. */
export type TreePageRow = [message: string, found: string] | [message: null, found: null];

/** A message of the branch. Null: the leaf is not there. No row: there is no conversation. */
export type BranchPageRow =
  | [message: string, depth: number, leafDepth: number]
  | [message: null, depth: null, leafDepth: null | number];

/**
 * A page of a whole conversation. $1 conversation, $2 user, $3 the last sequence that was
 * read, $4 how many to look at. Gives how many there were with each, as some may be cut off.
 */
export const treePage = {
  oldestFirst: treeStatement("tree_page_oldest_first", ">", "asc"),
  newestFirst: treeStatement("tree_page_newest_first", "<", "desc"),
};

function treeStatement(name: string, beyond: string, direction: string): Statement {
  return {
    name,
    text: `
      select page.message, page.found
      from conversations left join lateral (
        select ${messageJson("sized")}::text as message, found
        from (
          select *, count(*) over () as found,
            sum(pg_column_size(content)) over (order by sequence ${direction})
              - pg_column_size(content) as bytes_before
          from (
            select * from messages
            where conversation_id = conversations.id and sequence ${beyond} $3
            order by sequence ${direction} limit $4
          ) looked_at
        ) sized
        where bytes_before < ${pageBytes}
        order by sequence ${direction}
      ) page on true
      where conversations.id = $1 and conversations.user_id = $2`,
  };
}

/**
 * A page of a branch, in no order. $1 conversation, $2 user, $3 leaf, $4 and $5 the depths
 * of the deepest and the highest message, $6 how many at the most. First climbs from the
 * leaf to the deepest message of the page, then goes up message by message.
 */
export const branchPage = {
  // What is too much is cut off at the far end: of the oldest first, at the bottom.
  oldestFirst: branchStatement("branch_page_oldest_first", "(select max(bytes) from page) - bytes"),
  newestFirst: branchStatement("branch_page_newest_first", "bytes - own_bytes"),
};

function branchStatement(name: string, bytesBefore: string): Statement {
  return {
    name,
    text: `
      with recursive conversation as materialized (
        select id from conversations where id = $1 and user_id = $2
      ), leaf as materialized (
        select messages.id, messages.depth, least(messages.depth, $4::int) as page_depth
        from messages, conversation
        where messages.id = $3 and messages.conversation_id = conversation.id
      ), ancestor as (
        ${ancestorAt("(select id from leaf)", "(select page_depth from leaf)")}
      ), page as (
        select messages.id, messages.parent_id, messages.depth, 1 as length,
          pg_column_size(content)::bigint as own_bytes, pg_column_size(content)::bigint as bytes
        from ancestor, leaf, lateral (select * from messages where id = ancestor.id limit 1) messages
        where ancestor.depth = leaf.page_depth and ancestor.depth >= $5::int
        union all
        select step.id, step.parent_id, step.depth, page.length + 1, step.own_bytes,
          page.bytes + step.own_bytes
        from page, lateral (
          select id, parent_id, depth, pg_column_size(content)::bigint as own_bytes
          from messages where id = page.parent_id limit 1
        ) step
        where page.depth > $5::int and page.length < $6::int
      )
      select content.message, content.depth, leaf.depth
      from conversation left join leaf on true left join lateral (
        select ${messageJson("messages")}::text as message, messages.depth
        from page, lateral (select * from messages where id = page.id limit 1) messages
        where ${bytesBefore} < ${pageBytes}
      ) content on true`,
  };
}
