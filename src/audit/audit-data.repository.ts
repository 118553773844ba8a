import type { Postgres } from "../postgres/postgres.ts";

/** Events read at a time. */
const batchSize = 500;

/**
 * What the audit log knows of a user, as objects for JSON lines: what they did, and what was
 * done to them; not from where others did it, nor what they did to others.
 */
export async function* exportAuditData(
  postgres: Postgres,
  userId: string,
): AsyncGenerator<object, void, undefined> {
  type Row = { event_id: string };
  let after = "00000000-0000-0000-0000-000000000000";
  for (;;) {
    const rows = await postgres.work((em) =>
      em.execute<Row[]>(
        `select 'audit_event' as record, id as event_id, audit_events.create_time, action,
           resource, outcome, request_id,
           case when audit_events.user_id is null or audit_events.user_id = ? then address end
             as address,
           case when audit_details.user_id = ? then facts end as facts
         from audit_events left join audit_details on audit_details.event_id = audit_events.id
         where id > ? and id in (
           select id from audit_events where user_id = ?
           union select event_id from audit_details where user_id = ?
         ) order by id limit ${batchSize}`,
        [userId, userId, after, userId, userId],
      ),
    );
    yield* rows;
    const last = rows.at(-1);
    if (last === undefined || rows.length < batchSize) return;
    after = last.event_id;
  }
}
