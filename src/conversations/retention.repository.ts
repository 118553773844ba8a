import type { Audit } from "../audit/audit.ts";
import { createTrail } from "../audit/trail.ts";
import type { Postgres, Statement } from "../postgres/postgres.ts";

/** Conversations looked at with one statement. */
const pageSize = 5000;
/** Conversations erased in one transaction: long ones take the database a while. */
const eraseBatchSize = 50;

/**
 * $1 the last id of the page before, $2 the smallest id that is too young, $3 the time before
 * which a conversation must have been used last. Goes along the ids, which begin with the time:
 * an index of its own for the time of the last use would cost every turn.
 */
const unusedPage: Statement = {
  name: "conversations_unused_page",
  text: `
    with page as (
      select id, update_time from conversations where id > $1::uuid and id < $2::uuid
      order by id limit ${pageSize}
    )
    select json_build_array(max(id::text), count(*),
      coalesce(json_agg(id) filter (where update_time < $3::timestamptz), '[]'))::text
    from page`,
};

/** Whoever began a turn meanwhile keeps the conversation. */
const erase = (count: number) => `
  delete from conversations
  where id in (${Array(count).fill("?").join(", ")}) and update_time < ?
    and not exists (
      select from runs where conversation_id = conversations.id and state = 'running'
    )
  returning 1`;

/**
 * Erases the conversations that nobody has used since then, with messages, runs and found words,
 * in batches, of which each leaves its event in its transaction. Stops when `goOn` says no.
 * Returns how many.
 */
export async function eraseUnusedConversations(
  postgres: Postgres,
  audit: Pick<Audit, "record">,
  before: Date,
  goOn: () => Promise<boolean>,
): Promise<number> {
  let after = "00000000-0000-0000-0000-000000000000";
  let erased = 0;
  while (await goOn()) {
    const [row] = await postgres.query<[string]>(unusedPage, [after, smallestId(before), before]);
    const [last, seen, ids] = JSON.parse(row?.[0] ?? "[null, 0, []]") as [
      string | null,
      number,
      string[],
    ];
    for (let start = 0; start < ids.length; start += eraseBatchSize) {
      if (!(await goOn())) return erased;
      erased += await eraseBatch(postgres, audit, ids.slice(start, start + eraseBatchSize), before);
    }
    if (last === null || seen < pageSize) break;
    after = last;
  }
  return erased;
}

function eraseBatch(
  postgres: Postgres,
  audit: Pick<Audit, "record">,
  ids: string[],
  before: Date,
): Promise<number> {
  return postgres.work((em) =>
    em.transactional(async (em) => {
      const { length } = await em.execute<unknown[]>(erase(ids.length), [...ids, before]);
      if (length === 0) return 0;
      const trail = createTrail("conversation.conversation.expire", undefined, {
        resource: `conversations/before/${before.toISOString()}`,
        facts: { conversations: String(length) },
      });
      await audit.record(em, trail);
      return length;
    }),
  );
}

/** The smallest UUIDv7 of a time. */
function smallestId(time: Date): string {
  const hex = time.getTime().toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}
