import { randomUUIDv7 } from "node:crypto";
import { raw } from "@mikro-orm/postgresql";
import type { Audit } from "../audit/audit.ts";
import type { AuditTrail } from "../audit/trail.ts";
import { violatedConstraint } from "../postgres/failure.ts";
import { toText } from "../postgres/json.ts";
import type { Postgres } from "../postgres/postgres.ts";
import type { RoleName } from "./roles.ts";
import { type User, UserEntity } from "./user.entity.ts";

/** A user as others see them: without the hash of the password. */
export interface StoredUser {
  /** UUIDv7. */
  userId: string;
  /** Undefined: a service, or somebody who signs in elsewhere. */
  email: string | undefined;
  displayName: string;
  role: RoleName;
  isDisabled: boolean;
  /** Nothing of theirs is accepted until then. */
  blockTime: Date | undefined;
  hasPassword: boolean;
  createTime: Date;
  updateTime: Date;
}

/** What is decided about a new user. */
export interface NewUser {
  userId?: string;
  email: string | undefined;
  displayName: string;
  role: RoleName;
  passwordHash: string | undefined;
}

/** What may be changed of a user. */
export interface UserChanges {
  displayName?: string;
  role?: RoleName;
  isDisabled?: boolean;
}

/** Users in PostgreSQL. Every change leaves an audit event in its transaction. */
export interface UserRepository {
  find(userId: string): Promise<StoredUser | undefined>;
  /** The newest first, those after the cursor; at most `limit`. */
  list(limit: number, after: string | undefined): Promise<StoredUser[]>;
  /** With the hash of the password; the case of the e-mail does not matter. */
  findForSignIn(
    email: string,
  ): Promise<{ user: StoredUser; passwordHash: string | undefined } | undefined>;
  /** The trail's resource becomes the new user. */
  create(user: NewUser, trail: AuditTrail): Promise<StoredUser | "email_taken">;
  /** Undefined: there is no such user. Disabling ends all sessions. */
  update(userId: string, changes: UserChanges, trail: AuditTrail): Promise<StoredUser | undefined>;
  /** Sets the hash of the password. With a trail it is a new password, which ends all sessions. */
  setPassword(userId: string, passwordHash: string, trail: AuditTrail | undefined): Promise<void>;
  /** Ends all that a user may do, before they are erased. */
  disable(userId: string): Promise<void>;
  /** Refuses a user until then. */
  block(userId: string, until: Date, trail: AuditTrail): Promise<void>;
  /** Lifts the blocks of a user and of their keys. */
  unblock(userId: string, trail: AuditTrail): Promise<void>;
  /**
   * Removes the user with keys, sessions and foreign identities, and what is personal in the
   * audit log. What else belongs to them must have been erased before.
   */
  delete(userId: string, trail: AuditTrail): Promise<void>;
}

/** The users in PostgreSQL. */
export function createUserRepository(postgres: Postgres, audit: Audit): UserRepository {
  return {
    find: (id) =>
      postgres.work(async (em) => {
        const row = await em.findOne(UserEntity, { id });
        return row === null ? undefined : toStoredUser(row);
      }),
    list: (limit, after) =>
      postgres.work(async (em) => {
        const where = after === undefined ? {} : { id: { $lt: after } };
        const rows = await em.find(UserEntity, where, { orderBy: { id: "desc" }, limit });
        return rows.map(toStoredUser);
      }),
    findForSignIn: (email) =>
      postgres.work(async (em) => {
        const [found] = await em.execute<{ id: string }[]>(
          "select id from users where lower(email) = lower(?)",
          [toText(email)],
        );
        const row = found && (await em.findOne(UserEntity, { id: found.id }));
        if (!row) return undefined;
        return { user: toStoredUser(row), passwordHash: row.passwordHash ?? undefined };
      }),
    async create(user, trail) {
      const { email, passwordHash, displayName, role } = user;
      try {
        return await postgres.work((em) =>
          em.transactional(async (em) => {
            const row = em.create(UserEntity, {
              id: user.userId ?? randomUUIDv7(),
              email: email === undefined ? null : toText(email),
              displayName: toText(displayName),
              role,
              passwordHash: passwordHash ?? null,
            });
            await em.flush();
            trail.resource = `user/${row.id}`;
            await audit.record(em, trail);
            return toStoredUser(row);
          }),
        );
      } catch (error) {
        if (violatedConstraint(error) === "users_email_unique") return "email_taken";
        throw error;
      }
    },
    update: (id, { displayName, role, isDisabled }, trail) =>
      postgres.work((em) =>
        em.transactional(async (em) => {
          await em.nativeUpdate(
            UserEntity,
            { id },
            {
              ...(role !== undefined && { role }),
              ...(displayName !== undefined && { displayName: toText(displayName) }),
              ...(isDisabled !== undefined && { disabled: isDisabled }),
              updateTime: raw<Date>("now()"),
            },
          );
          const row = await em.findOne(UserEntity, { id });
          if (row === null) return undefined;
          if (isDisabled) await em.execute(endSessions, [id]);
          await audit.record(em, trail);
          return toStoredUser(row);
        }),
      ),
    setPassword: (id, passwordHash, trail) =>
      postgres.work((em) =>
        em.transactional(async (em) => {
          const updateTime = raw<Date>("now()");
          await em.nativeUpdate(UserEntity, { id }, { passwordHash, updateTime });
          if (trail === undefined) return;
          await em.execute(endSessions, [id]);
          await audit.record(em, trail);
        }),
      ),
    disable: (id) =>
      postgres.work(async (em) => {
        await em.execute("update users set disabled = true, update_time = now() where id = ?", [
          id,
        ]);
        await em.execute(endSessions, [id]);
      }),
    block: (id, until, trail) =>
      postgres.work((em) =>
        em.transactional(async (em) => {
          const updateTime = raw<Date>("now()");
          await em.nativeUpdate(UserEntity, { id }, { blockTime: until, updateTime });
          await audit.record(em, trail);
        }),
      ),
    unblock: (id, trail) =>
      postgres.work((em) =>
        em.transactional(async (em) => {
          await em.execute("update users set block_time = null, update_time = now() where id = ?", [
            id,
          ]);
          await em.execute(
            `update api_keys set block_time = null, update_time = now()
             where user_id = ? and block_time is not null`,
            [id],
          );
          await audit.record(em, trail);
        }),
      ),
    delete: (id, trail) =>
      postgres.work((em) =>
        em.transactional(async (em) => {
          await em.nativeDelete(UserEntity, { id });
          await audit.record(em, trail);
          // Last: whoever erases themselves leaves no address either.
          await audit.eraseDetails(em, id);
        }),
      ),
  };
}

const endSessions = `update sessions set revoke_time = now(), update_time = now()
  where user_id = ? and revoke_time is null`;

function toStoredUser(row: User): StoredUser {
  return {
    userId: row.id,
    email: row.email ?? undefined,
    displayName: row.displayName,
    role: row.role,
    isDisabled: row.disabled,
    blockTime: row.blockTime ?? undefined,
    hasPassword: row.passwordHash !== null,
    createTime: row.createTime,
    updateTime: row.updateTime,
  };
}
