import type { Audit } from "../audit/audit.ts";
import type { AuditTrail } from "../audit/trail.ts";
import type { Postgres, Statement } from "../postgres/postgres.ts";
import { milliseconds } from "./api-key.statements.ts";
import type { RoleName } from "./roles.ts";

/** What decides whether a session is accepted, and as whom. */
export interface SessionOwner {
  sessionId: string;
  userId: string;
  role: RoleName;
  isDisabled: boolean;
  isRevoked: boolean;
  blockTime: Date | undefined;
  expireTime: Date;
}

/** What became of a refresh token. */
export type Refreshed =
  | { kind: "refreshed"; owner: SessionOwner }
  | { kind: "unknown" }
  /** Whose session is over, or who may do nothing. */
  | { kind: "ended"; owner: SessionOwner }
  /** Somebody has used it before: the session ended with this. */
  | { kind: "reused"; owner: SessionOwner };

/** Sessions in PostgreSQL. Every change leaves an audit event in its transaction. */
export interface SessionRepository {
  /** The session, if it is the user's. */
  findOwner(sessionId: string, userId: string): Promise<SessionOwner | undefined>;
  /** Undefined instead of a hash: a session of a cookie, which is not refreshed. */
  create(
    session: { sessionId: string; userId: string; expireTime: Date },
    refreshTokenHash: Buffer | undefined,
    trail: AuditTrail,
  ): Promise<void>;
  /**
   * Spends a refresh token, by its hashes under all the server's secrets, for the next one. The
   * trail is told whose it was.
   */
  refresh(hashes: readonly Buffer[], next: Buffer, trail: AuditTrail): Promise<Refreshed>;
  /** Ends these sessions of a user; undefined: all. Returns which of them lived. */
  revoke(userId: string, sessionId: string | undefined, trail: AuditTrail): Promise<string[]>;
  /** Removes what ended so long ago that no token of it can be left. */
  removeEnded(): Promise<void>;
}

const ownerColumns = `sessions.id, sessions.user_id, users.role, users.disabled,
  sessions.revoke_time is not null, ${milliseconds("users.block_time")},
  ${milliseconds("sessions.expire_time")}`;

const sessionOwner: Statement = {
  name: "session_owner",
  text: `select json_build_array(${ownerColumns})::text
    from sessions join users on users.id = sessions.user_id
    where sessions.id = $1 and sessions.user_id = $2`,
};

type OwnerRow = [
  sessionId: string,
  userId: string,
  role: RoleName,
  isDisabled: boolean,
  isRevoked: boolean,
  blockTime: number | null,
  expireTime: number,
];

/** The sessions in PostgreSQL. */
export function createSessionRepository(postgres: Postgres, audit: Audit): SessionRepository {
  return {
    async findOwner(sessionId, userId) {
      const [row] = await postgres.query<[string]>(sessionOwner, [sessionId, userId]);
      return row && toOwner(JSON.parse(row[0]) as OwnerRow);
    },
    create: ({ sessionId, userId, expireTime }, refreshTokenHash, trail) =>
      postgres.work((em) =>
        em.transactional(async (em) => {
          await em.execute("insert into sessions (id, user_id, expire_time) values (?, ?, ?)", [
            sessionId,
            userId,
            expireTime,
          ]);
          if (refreshTokenHash !== undefined) {
            await em.execute("insert into refresh_tokens (hash, session_id) values (?, ?)", [
              refreshTokenHash,
              sessionId,
            ]);
          }
          await audit.record(em, trail);
        }),
      ),
    refresh: (hashes, next, trail) =>
      postgres.work((em) =>
        em.transactional(async (em): Promise<Refreshed> => {
          type Row = { owner: OwnerRow; hash: Buffer; used: boolean };
          // The lock: of two who come with the same token, one comes second.
          const [row] = await em.execute<Row[]>(
            `select json_build_array(${ownerColumns}) as owner, refresh_tokens.hash,
               refresh_tokens.use_time is not null as used
             from refresh_tokens join sessions on sessions.id = refresh_tokens.session_id
               join users on users.id = sessions.user_id
             where refresh_tokens.hash in (${hashes.map(() => "?").join(", ")})
             for update of refresh_tokens`,
            [...hashes],
          );
          if (row === undefined) return { kind: "unknown" };
          const owner = toOwner(row.owner);
          trail.userId = owner.userId;
          trail.resource = `session/${owner.sessionId}`;
          const isOver = owner.isRevoked || owner.expireTime.getTime() <= Date.now();
          if (isOver || owner.isDisabled) return { kind: "ended", owner };
          if (row.used) {
            await em.execute(endSession, [owner.sessionId]);
            await audit.record(em, trail, "REFRESH_TOKEN_REUSED");
            return { kind: "reused", owner };
          }
          await em.execute("update refresh_tokens set use_time = now() where hash = ?", [row.hash]);
          await em.execute("insert into refresh_tokens (hash, session_id) values (?, ?)", [
            next,
            owner.sessionId,
          ]);
          await audit.record(em, trail);
          return { kind: "refreshed", owner };
        }),
      ),
    revoke: (userId, sessionId, trail) =>
      postgres.work((em) =>
        em.transactional(async (em) => {
          const rows = await em.execute<{ id: string }[]>(
            `update sessions set revoke_time = now(), update_time = now()
             where user_id = ? and revoke_time is null and (?::uuid is null or id = ?)
             returning id`,
            [userId, sessionId ?? null, sessionId ?? null],
          );
          await audit.record(em, trail);
          return rows.map(({ id }) => id);
        }),
      ),
    removeEnded: () =>
      postgres.work(async (em) => {
        await em.execute("delete from sessions where expire_time < now() - interval '7 days'");
      }),
  };
}

const endSession = "update sessions set revoke_time = now(), update_time = now() where id = ?";

function toOwner(row: OwnerRow): SessionOwner {
  return {
    sessionId: row[0],
    userId: row[1],
    role: row[2],
    isDisabled: row[3],
    isRevoked: row[4],
    blockTime: row[5] === null ? undefined : new Date(row[5]),
    expireTime: new Date(row[6]),
  };
}
