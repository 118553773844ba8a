import { randomUUIDv7 } from "node:crypto";
import type { Postgres, Statement } from "../postgres/postgres.ts";

/** What to copy, and for whom. */
export interface ForkRequest {
  userId: string;
  conversationId: string;
  /** The last message to copy. Undefined: the head. */
  messageId: string | undefined;
  /** Undefined: the original's. */
  title: string | undefined;
}

/** $1 conversation, $2 user, $3 message or null. No row: no conversation. */
const findLeaf: Statement = {
  name: "fork_find_leaf",
  text: `
    select coalesce($3::uuid, conversations.head_message_id), coalesce(leaf.depth, 0)
    from conversations left join messages leaf
      on leaf.id = coalesce($3::uuid, conversations.head_message_id)
      and leaf.conversation_id = conversations.id
    where conversations.id = $1 and conversations.user_id = $2`,
};

/**
 * $1-$3 as findLeaf, $4 the copy's id, $5 its title or null, $6 an id for each copied
 * message, the first message's first. Depths stay, so a jump goes to the copy at its depth.
 */
const copyBranch: Statement = {
  name: "fork_copy_branch",
  text: `
    with recursive copy as (
      insert into conversations (id, user_id, title, system, metadata, head_message_id,
        last_sequence)
      select $4, user_id, coalesce($5, title), system, metadata, ($6::uuid[])[cardinality($6)],
        cardinality($6)
      from conversations where id = $1 and user_id = $2
      returning id
    ), branch as (
      select * from messages where id = $3 and conversation_id = $1
      union all
      select step.* from branch, lateral (
        select * from messages where id = branch.parent_id limit 1
      ) step
    ), copied as (
      insert into messages
        (id, conversation_id, parent_id, jump_id, depth, jump_depth, sequence, role, status,
         content, tokens, metadata, model, provider, finish_reason, input_tokens,
         cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens, cost_micros,
         create_time)
      select ($6::uuid[])[depth], copy.id, ($6::uuid[])[depth - 1], ($6::uuid[])[jump_depth],
        depth, jump_depth, depth, role, status, content, tokens, metadata, model, provider,
        finish_reason, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens,
        reasoning_tokens, cost_micros, create_time
      from copy, branch
    ), searched as (
      insert into search_queue (user_id, message_id) select $2, unnest($6::uuid[]) from copy
    )
    select id from copy`,
};

/** Copies a branch. What is copied cannot change meanwhile: messages never do. */
export async function fork(
  postgres: Postgres,
  { userId, conversationId, messageId, title }: ForkRequest,
): Promise<{ conversationId: string } | "not_found" | "message_not_found"> {
  const [leaf] = await postgres.query<[leafId: string | null, depth: number]>(findLeaf, [
    conversationId,
    userId,
    messageId,
  ]);
  if (leaf === undefined) return "not_found";
  const [leafId, depth] = leaf;
  if (leafId !== null && depth === 0) return "message_not_found";
  const copyId = randomUUIDv7();
  const ids = Array.from({ length: depth }, () => randomUUIDv7());
  const copied = await postgres.query(copyBranch, [
    conversationId,
    userId,
    leafId,
    copyId,
    title,
    ids,
  ]);
  return copied.length === 0 ? "not_found" : { conversationId: copyId };
}
