import type { Postgres } from "../postgres/postgres.ts";
import type { BrowserSessionStore } from "./browser-session.ts";
import type { PersonalData } from "./personal-data.ts";

/** What identity knows of a user, but for what only the server may know. */
const records = {
  user: `select 'user' as record, id as user_id, email, display_name, role, disabled,
    password_hash is not null as has_password, create_time, update_time from users where id = ?`,
  apiKeys: `select 'api_key' as record, id as api_key_id, name, prefix, scopes, expire_time,
    last_used_time, revoke_time, create_time from api_keys where user_id = ? order by id`,
  sessions: `select 'session' as record, id as session_id, create_time, expire_time, revoke_time
    from sessions where user_id = ? order by id`,
  identities: `select 'foreign_identity' as record, issuer, subject, create_time
    from foreign_identities where user_id = ? order by create_time`,
};

/** What identity keeps of users; in PostgreSQL it is erased with the user's row. */
export function createIdentityData(
  postgres: Postgres,
  browserSessions: Pick<BrowserSessionStore, "removeAll">,
): PersonalData {
  return {
    async *export(userId) {
      for (const statement of Object.values(records)) {
        yield* await postgres.work((em) => em.execute<object[]>(statement, [userId]));
      }
    },
    erase: (userId) => browserSessions.removeAll(userId),
  };
}
