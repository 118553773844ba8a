/**
 * The SQL of a turn: each of these is one round trip and, being one statement, one
 * transaction. All parts of a statement see the same snapshot of the database, also
 * after waiting for a lock. So a conversation's head is read from the snapshot, like the
 * messages it leads to, and never from the locked row, which may be newer than they are.
 *
 * Locks are taken in the order message, conversation, run by whoever takes several.
 */
import { branchColumns, branchPosition } from "../conversations/branch.ts";
import type { Statement } from "../postgres/postgres.ts";

/** $1-$14 as `openingValues` makes them. Gives the time in milliseconds since 1970. */
export const openNew: Statement = {
  name: "turn_open_new",
  text: `
    with opened as (
      insert into conversations (id, user_id, title, system, last_sequence)
      values ($1, $2, $3, $4, 2)
      returning id, create_time
    ), question as (
      insert into messages
        (id, conversation_id, role, status, content, tokens, metadata, sequence, create_time,
         depth, jump_depth)
      select $5, id, 'user', 'completed', $6::jsonb, $7, $8::jsonb, 1, create_time, 1, 0
      from opened
    ), run as (
      insert into runs
        (id, conversation_id, user_id, api_key_id, user_message_id, assistant_message_id, state,
         sequence, model, idempotency_key, request_hash, start_time)
      select $9, id, $2, $10, $5, $11, 'running', 1, $12, $13, $14, create_time from opened
    )
    select (extract(epoch from create_time) * 1000)::bigint::text from opened`,
};

/** The longest branch that is ever read, in messages. */
const longestBranch = 10_000;

/**
 * As openNew; and $15 the parent or null, $16 how many tokens of history to read. Gives
 * one JSON array, or `parent` or `conversation`: what was not found.
 */
export const openExisting: Statement = {
  name: "turn_open_existing",
  text: `
    with recursive conversation as materialized (
      select id, coalesce($15::uuid, head_message_id) as parent_id
      from conversations where id = $1 and user_id = $2
    ), named as materialized (
      select id from messages where id = $15::uuid and conversation_id = $1 for key share
    ), opened as (
      update conversations set
        last_sequence = last_sequence + 2,
        title = case when last_sequence = 0 and title = '' then $3 else title end,
        system = case when last_sequence = 0 then coalesce($4, system) else system end,
        version = version + 1,
        update_time = clock_timestamp()
      where id = $1 and user_id = $2 and ($15::uuid is null or exists (select from named))
      returning id, system, last_sequence - 1 as sequence, update_time
    ), question as (
      insert into messages
        (id, conversation_id, parent_id, role, status, content, tokens, metadata, sequence,
         create_time, ${branchColumns})
      select $5, opened.id, parent.id, 'user', 'completed', $6::jsonb, $7, $8::jsonb,
        opened.sequence, opened.update_time, ${branchPosition}
      from opened
        left join messages parent on parent.id = (select parent_id from conversation)
        left join messages jump on jump.id = parent.jump_id
      returning depth
    ), run as (
      insert into runs
        (id, conversation_id, user_id, api_key_id, user_message_id, assistant_message_id, state,
         sequence, model, idempotency_key, request_hash, start_time)
      select $9, id, $2, $10, $5, $11, 'running', sequence, $12, $13, $14, update_time
      from opened
    ), branch as (
      select message.*, 1 as depth, message.tokens::bigint as total
      from conversation, lateral (
        select id, parent_id, role, content, tokens from messages
        where id = conversation.parent_id and $16::bigint > 0 limit 1
      ) message
      union all
      select message.*, branch.depth + 1, branch.total + message.tokens
      from branch, lateral (
        select id, parent_id, role, content, tokens from messages
        where id = branch.parent_id limit 1
      ) message
      where branch.total < $16 and branch.depth < ${longestBranch}
    )
    select coalesce(
      (select json_build_array(
          id,
          (select parent_id from conversation),
          system,
          sequence,
          (extract(epoch from update_time) * 1000)::bigint,
          (select json_agg(json_build_array(id, role, content, tokens) order by depth desc)
           from branch),
          (select depth from question)
        )::text
       from opened),
      case when $15::uuid is not null and exists (select from conversation)
        and not exists (select from named) then 'parent' else 'conversation' end)`,
};

/** Ends a run without a reservation: see `settleStatement`. */
export const settle: Statement = settleStatement("turn_settle", "");

/** Ends a run, and its budget reservation if it has one. */
export const settleReserved: Statement = settleStatement(
  "turn_settle_reserved",
  ", released as (delete from budget_reservations where run_id = $1)",
);

/**
 * $1-$20 as `settlementValues` makes them. Whoever ends the run bills it; when the
 * conversation is gone, and the run with it, the ledger's own key sees to that.
 * Gives the time in milliseconds since 1970, and whether the run had ended before.
 */
function settleStatement(name: string, release: string): Statement {
  return {
    name,
    text: `
    with conversation as materialized (
      select id from conversations where id = $2 for no key update
    ), ended as (
      update runs set
        state = $3, end_time = clock_timestamp(), model = $4, provider = $5,
        error_reason = $6, error_message = $7
      -- By key, always: where hardly any run is under way, PostgreSQL takes the index of running runs
      -- for the shorter way, and reads in it whatever runs now and has run since the last vacuum.
      where id = $1 and state || '' = 'running' and exists (select from conversation)
      returning conversation_id, user_message_id, assistant_message_id, sequence, end_time
    ), answer as (
      insert into messages
        (id, conversation_id, parent_id, role, status, content, tokens, sequence, run_id, model,
         provider, finish_reason, input_tokens, cached_input_tokens, cache_write_tokens,
         output_tokens, reasoning_tokens, cost_micros, create_time, ${branchColumns})
      select ended.assistant_message_id, ended.conversation_id, parent.id, 'assistant', $3,
        $8::jsonb, $9, ended.sequence + 1, $1, $4, $5, $10, $11, $12, $13, $14, $15, $16,
        ended.end_time, ${branchPosition}
      from ended
        join messages parent on parent.id = ended.user_message_id
        left join messages jump on jump.id = parent.jump_id
    ), head as (
      update conversations set
        -- A run that broke off long ago must not take the head from what came after it.
        head_message_id = case
          when $3 <> 'interrupted'
            or conversations.head_message_id is not distinct from question.parent_id
          then ended.assistant_message_id else conversations.head_message_id end,
        input_tokens = conversations.input_tokens + $11,
        cached_input_tokens = conversations.cached_input_tokens + $12,
        version = version + 1, update_time = ended.end_time
      from ended join messages question on question.id = ended.user_message_id
      where conversations.id = ended.conversation_id
    ), searched as (
      insert into search_queue (user_id, message_id)
      select $17::uuid, unnest(array[user_message_id, assistant_message_id]) from ended
    ), ledger as (
      insert into usage
        (run_id, user_id, api_key_id, conversation_id, model, provider, input_tokens,
         cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_micros,
         price_version, estimated, create_time)
      select $1, $17, $18, $2, $4, $5, $11, $12, $13, $14, $15, $16, $19, $20, clock_timestamp()
      where exists (select from ended) or not exists (select from conversation)
      on conflict (run_id) do nothing
      returning run_id
    ), summed as (
      insert into usage_pending (run_id) select run_id from ledger
    )${release}
    select
      (extract(epoch from coalesce(
        (select end_time from ended),
        (select end_time from runs where id = $1),
        clock_timestamp()
      )) * 1000)::bigint::text,
      exists (select from conversation) and not exists (select from ended)`,
  };
}

/** How a run stands. $1: the run. */
export const runState: Statement = {
  name: "turn_run_state",
  text: "select state from runs where id = $1",
};
