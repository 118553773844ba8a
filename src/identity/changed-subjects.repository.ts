import type { Postgres, Statement } from "../postgres/postgres.ts";

/**
 * $1 milliseconds back, $2 the smallest id of that time. Each part is one short index scan. Of
 * erased users nothing is left but the event in the audit log.
 */
const changedSubjects: Statement = {
  name: "identity_changed_subjects",
  text: `
    select 'user:' || id from users where update_time > now() - $1 * interval '1 millisecond'
    union all
    select 'key:' || id from api_keys where update_time > now() - $1 * interval '1 millisecond'
    union all
    select 'session:' || id from sessions
    where update_time > now() - $1 * interval '1 millisecond' and revoke_time is not null
    union all
    select resource from audit_events
    where action = 'identity.user.delete' and outcome = 'ok' and id > $2`,
};

/** Asks for the users, keys and sessions that were changed in the last milliseconds. */
export function createChangedSubjects(postgres: Postgres): (sinceMs: number) => Promise<string[]> {
  return async (sinceMs) => {
    // The clocks of the processes that make ids may differ a little.
    const smallestId = uuidAt(Date.now() - sinceMs - 60_000);
    const rows = await postgres.query<[string]>(changedSubjects, [sinceMs, smallestId]);
    return rows.map(([subject]) => subject.replace(/^user\//, "user:"));
  };
}

/** The smallest UUIDv7 of a time. */
export function uuidAt(time: number): string {
  const hex = time.toString(16).padStart(12, "0");
  return `${hex.slice(0, 8)}-${hex.slice(8)}-7000-8000-000000000000`;
}
