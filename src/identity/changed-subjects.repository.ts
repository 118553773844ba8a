import type { Postgres, Statement } from "../postgres/postgres.ts";

/** $1 milliseconds back. Each part is one short index scan. */
const changedSubjects: Statement = {
  name: "identity_changed_subjects",
  text: `
    select 'user:' || id from users where update_time > now() - $1 * interval '1 millisecond'
    union all
    select 'key:' || id from api_keys where update_time > now() - $1 * interval '1 millisecond'
    union all
    select 'session:' || id from sessions
    where update_time > now() - $1 * interval '1 millisecond' and revoke_time is not null`,
};

/** Asks for the users, keys and sessions that were changed in the last milliseconds. */
export function createChangedSubjects(postgres: Postgres): (sinceMs: number) => Promise<string[]> {
  return async (sinceMs) => {
    const rows = await postgres.query<[string]>(changedSubjects, [sinceMs]);
    return rows.map(([subject]) => subject);
  };
}
