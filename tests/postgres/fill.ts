import { randomUUIDv7 } from "node:crypto";
import type { TestDatabase } from "../support/postgres.ts";

/**
 * Fills a database: 100,000 conversations of two users, each with one settled turn, and
 * one more conversation that is one branch of `length` messages.
 */
export async function fill(database: TestDatabase, length: number) {
  const { sql } = database;
  const userId = await database.createUser();
  const other = await database.createUser();
  await sql(
    `insert into conversations (id, user_id, title, last_sequence, update_time)
     select gen_random_uuid(), case when n % 2 = 0 then '${userId}' else '${other}' end::uuid,
       'Conversation ' || n, 2, now() - n * interval '1 second'
     from generate_series(1, 100000) n`,
  );
  await sql(
    `insert into messages
       (id, conversation_id, role, status, content, tokens, sequence, depth, jump_depth)
     select gen_random_uuid(), id, 'user', 'completed', '[{"type": "text", "text": "Hello"}]', 5,
       1, 1, 0 from conversations`,
  );
  await sql(
    `insert into runs
       (id, conversation_id, user_id, user_message_id, assistant_message_id, state, sequence,
        model, idempotency_key, start_time)
     select gen_random_uuid(), c.id, c.user_id, m.id, gen_random_uuid(),
       case when random() < 0.001 then 'running' else 'completed' end, 1, 'demo',
       gen_random_uuid()::text, c.update_time
     from conversations c join messages m on m.conversation_id = c.id`,
  );
  const conversationId = randomUUIDv7();
  const leafMessageId = await fillBranch(database, userId, conversationId, length);
  await sql("vacuum analyze");
  return { userId, conversationId, leafMessageId };
}

/** Makes a conversation that is one branch, and gives the id of its last message. */
export async function fillBranch(
  { sql }: TestDatabase,
  userId: string,
  conversationId: string,
  length: number,
): Promise<string> {
  const ids = Array.from({ length }, () => randomUUIDv7());
  const head = ids.at(-1) ?? "";
  const jumpDepths = jumps(length);
  await sql(
    `insert into conversations (id, user_id, title, last_sequence, head_message_id)
     values (?, ?, 'Long', ?, ?)`,
    [conversationId, userId, length, head],
  );
  await sql(
    `insert into messages
       (id, conversation_id, parent_id, jump_id, depth, jump_depth, sequence, role, status,
        content, tokens)
     select ids[n], ?, ids[n - 1], ids[jump_depths[n]], n, jump_depths[n], n,
       case when n % 2 = 1 then 'user' else 'assistant' end, 'completed',
       jsonb_build_array(jsonb_build_object('type', 'text', 'text', 'Message ' || n)), 10
     from (select ?::uuid[] as ids, ?::int[] as jump_depths) arrays, generate_series(1, ?) n`,
    [conversationId, `{${ids.join(",")}}`, `{${jumpDepths.join(",")}}`, length],
  );
  return head;
}

/** The depths to which the messages of one branch jump, after Myers. */
function jumps(length: number): number[] {
  const depths = [0];
  for (let depth = 1; depth <= length; depth += 1) {
    const parent = depth - 1;
    const jump = depths[parent] ?? 0;
    const beyond = depths[jump] ?? 0;
    depths.push(parent > 0 && parent - jump === jump - beyond ? beyond : parent);
  }
  return depths.slice(1);
}
