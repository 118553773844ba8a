import type { Postgres } from "../postgres/postgres.ts";

/** Rows read at a time. */
const batchSize = 500;

/**
 * What a user used, as objects for JSON lines. It stays when the user is erased, under an id that
 * is nobody's any more: what was spent was spent.
 */
export async function* exportUsage(
  postgres: Postgres,
  userId: string,
): AsyncGenerator<object, void, undefined> {
  let after = "00000000-0000-0000-0000-000000000000";
  for (;;) {
    const rows = await postgres.work((em) =>
      em.execute<{ run_id: string }[]>(
        `select 'usage' as record, usage.* from usage
         where user_id = ? and run_id > ? order by run_id limit ${batchSize}`,
        [userId, after],
      ),
    );
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < batchSize) return;
    after = last.run_id;
  }
}
