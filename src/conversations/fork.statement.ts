import { randomUUIDv7 } from "node:crypto";
import type { Postgres, Statement } from "../postgres/postgres.ts";
import type { Vault, VaultPlace } from "./vault.ts";

/** What a conversation itself says, as it is stored. */
export interface ConversationColumns {
  title: string;
  system: string | null;
  metadata: Record<string, string>;
}

/** What to copy, and for whom. */
export interface ForkRequest {
  userId: string;
  conversationId: string;
  /** The last message to copy. Undefined: the head. */
  messageId: string | undefined;
  /** What the copy with this id says. */
  columns(copyId: string): ConversationColumns;
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

/** $1 leaf, $2 conversation. The messages of the branch that are sealed. */
const findSealed: Statement = {
  name: "fork_find_sealed",
  text: `
    with recursive branch as (
      select id, parent_id, depth, content, metadata from messages
      where id = $1 and conversation_id = $2
      union all
      select step.* from branch, lateral (
        select id, parent_id, depth, content, metadata from messages
        where id = branch.parent_id limit 1
      ) step
    )
    select id::text, depth, content::text, metadata::text from branch
    where jsonb_typeof(content) = 'string' or jsonb_typeof(metadata) = 'string'`,
};

/**
 * $1-$3 as findLeaf, $4 the copy's id, $5 its title, $6 an id for each copied message, the first
 * message's first, $7 system, $8 metadata; $9-$11 depth, content and metadata of the messages
 * that were sealed for the original, sealed for the copy: a sealed one that is missing among them
 * ends the statement, as it has no content. Depths stay, so a jump goes to the copy at its depth.
 */
const copyBranch: Statement = {
  name: "fork_copy_branch",
  text: `
    with recursive copy as (
      insert into conversations (id, user_id, title, system, metadata, head_message_id,
        last_sequence)
      select $4, user_id, $5, $7, $8::jsonb, ($6::uuid[])[cardinality($6)], cardinality($6)
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
        depth, jump_depth, depth, role, status,
        case jsonb_typeof(branch.content) when 'string' then sealed.content
          else branch.content end,
        tokens,
        case jsonb_typeof(branch.metadata) when 'string' then sealed.metadata
          else branch.metadata end,
        model, provider, finish_reason, input_tokens, cached_input_tokens, cache_write_tokens, output_tokens,
        reasoning_tokens, cost_micros, create_time
      from copy, branch left join (
        select * from unnest($9::int[], $10::text[]::jsonb[], $11::text[]::jsonb[])
          as sealed (depth, content, metadata)
      ) sealed using (depth)
    ), searched as (
      insert into search_queue (user_id, message_id) select $2, unnest($6::uuid[]) from copy
    )
    select id from copy`,
};

/** Copies a branch. What is copied cannot change meanwhile: messages never do. */
export async function fork(
  postgres: Postgres,
  vault: Vault,
  { userId, conversationId, messageId, columns }: ForkRequest,
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
  const found = await postgres.query<SealedRow>(findSealed, [leafId, conversationId]);
  const sealed = found.map((row) => sealForCopy(vault, row, ids));
  const { title, system, metadata } = columns(copyId);
  const copied = await postgres.query(copyBranch, [
    conversationId,
    userId,
    leafId,
    copyId,
    title,
    ids,
    system,
    JSON.stringify(metadata),
    sealed.map((message) => message.depth),
    sealed.map((message) => message.content),
    sealed.map((message) => message.metadata),
  ]);
  return copied.length === 0 ? "not_found" : { conversationId: copyId };
}

type SealedRow = [id: string, depth: number, content: string, metadata: string | null];

/** What is sealed for one message opens in no other. */
function sealForCopy(vault: Vault, [id, depth, content, metadata]: SealedRow, ids: string[]) {
  const copyId = ids[depth - 1] ?? "";
  const move = (json: string, place: VaultPlace) =>
    vault.jsonb(vault.fromJsonb(JSON.parse(json) as object | string, place, id), place, copyId);
  return {
    depth,
    content: move(content, "message/content"),
    metadata: metadata === null ? null : move(metadata, "message/metadata"),
  };
}
