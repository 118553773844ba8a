import type { Statement } from "../postgres/postgres.ts";
import { messageJson } from "./message.row.ts";

/**
 * How much of a message is searched, in characters. Whatever they are, their words fit
 * into a tsvector, which holds a megabyte.
 */
const searchedLength = 100_000;

/** The newest matches are ranked, this many at the most. */
const rankedMatches = 10_000;

/** A page has at most this much of stored (compressed) content, in bytes. */
const pageBytes = 1_000_000;

/** SQL for the texts of a message; null when it has none, or is sealed. */
function searchedText(table: string): string {
  return `(select left(string_agg(part->>'text', chr(10)), ${searchedLength})
    from jsonb_array_elements(
      case when jsonb_typeof(${table}.content) = 'array' then ${table}.content end) part
    where part->>'type' = 'text')`;
}

/**
 * The word that stands for a user in each of their documents, so that one index finds
 * a word within one user's messages.
 */
export function ownerWord(userId: string): string {
  return `u${userId.replaceAll("-", "")}`;
}

/**
 * Takes messages from the queue and stores their words. "<" becomes a space, as the
 * parser would take "<div>" for markup and leave it out.
 */
function indexStatement(name: string, chosen: string): Statement {
  return {
    name,
    text: `
      with taken as (
        delete from search_queue where (user_id, message_id) in (
          select user_id, message_id from search_queue ${chosen}
        )
        returning user_id, message_id
      ), added as (
        insert into message_search
          (message_id, conversation_id, user_id, role, create_time, document)
        select messages.id, messages.conversation_id, taken.user_id, messages.role,
          messages.create_time,
          array_to_tsvector(array['u' || replace(taken.user_id::text, '-', '')])
            || to_tsvector('simple', translate(searched.text, '<', ' '))
        from taken join messages on messages.id = taken.message_id,
          lateral (select ${searchedText("messages")} as text offset 0) searched
        where searched.text <> ''
        on conflict (message_id) do nothing
      )
      select count(*)::int from taken`,
  };
}

/** $1 how many. Leaves out what another process has taken. */
export const indexAny = indexStatement("search_index_any", "limit $1 for update skip locked");

/** $1 how many, $2 whose: their newest first. */
export const indexOwn = indexStatement(
  "search_index_own",
  "where user_id = $2 order by message_id desc limit $1 for update",
);

/** Marks in a headline, which no text has when it comes to it. */
export const marks = { less: "\u0001", start: "\u0002", end: "\u0003" };

/** A message, its rank and its passages; and how many there were, as some may be cut off. */
export type SearchRow = [message: string, rank: string, headline: string, found: number];

/**
 * $1 the user, $2 what was asked, $3 the user's word, $4 role, $5 and $6 from and to when,
 * $7 and $8 rank and id of the last result of the page before, $9 how many to look at.
 */
export const searchEverywhere = searchStatement("search_everywhere", "true");

/** As searchEverywhere; and $10 the conversation. */
export const searchConversation = searchStatement(
  "search_conversation",
  "conversation_id = $10::uuid",
);

function searchStatement(name: string, where: string): Statement {
  const query = "websearch_to_tsquery('simple', translate($2::text, '<', ' '))";
  const headline = [
    `StartSel="${marks.start}", StopSel="${marks.end}", FragmentDelimiter=" … "`,
    "MaxFragments=2, MaxWords=30, MinWords=10",
  ].join(", ");
  return {
    name,
    text: `
      with matching as materialized (
        select message_id, document from message_search
        where document @@ ($3::tsquery && ${query}) and numnode(${query}) > 0
          and user_id = $1::uuid and ${where}
          and ($4::text is null or role = $4)
          and ($5::timestamptz is null or create_time >= $5)
          and ($6::timestamptz is null or create_time < $6)
        order by message_id desc limit ${rankedMatches}
      ), ranked as (
        select message_id, ts_rank(document, ${query}, 1) as rank from matching
      ), page as (
        select message_id, rank from ranked
        where $7::real is null or (rank, message_id) < ($7::real, $8::uuid)
        order by rank desc, message_id desc limit $9
      ), sized as (
        select page.*, count(*) over () as found,
          sum(pg_column_size(messages.content)) over (order by rank desc, message_id desc)
            - pg_column_size(messages.content) as bytes_before
        from page join messages on messages.id = page.message_id
      )
      select ${messageJson("messages")}::text, sized.rank::text,
        ts_headline('simple',
          translate(translate(${searchedText("messages")},
            '${marks.less}${marks.start}${marks.end}', ''), '<', '${marks.less}'),
          ${query}, '${headline}'),
        sized.found::int
      from sized join messages on messages.id = sized.message_id
      where sized.bytes_before < ${pageBytes}
      order by sized.rank desc, sized.message_id desc`,
  };
}
