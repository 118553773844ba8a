import { randomUUIDv7 } from "node:crypto";
import type { Audit } from "../audit/audit.ts";
import { createTrail } from "../audit/trail.ts";
import { toText } from "../postgres/json.ts";
import type { Postgres } from "../postgres/postgres.ts";
import type { RoleName } from "./roles.ts";

/** What a foreign token says of whom it means. */
export interface ForeignUser {
  issuer: string;
  subject: string;
  /** Only if the issuer says that it is verified. */
  email: string | undefined;
  displayName: string;
  role: RoleName;
}

/** The user that a foreign identity is here. */
export interface ForeignOwner {
  userId: string;
  role: RoleName;
  isDisabled: boolean;
  blockTime: Date | undefined;
}

/** Foreign identities in PostgreSQL. */
export interface ForeignIdentityRepository {
  /**
   * The user of the identity, made on first sight. Gets the role that the token says; both leave
   * an audit event in their transaction.
   */
  settle(user: ForeignUser): Promise<ForeignOwner>;
}

type Row = { id: string; role: RoleName; disabled: boolean; block_time: Date | null };

const findOwner = `
  select users.id, users.role, users.disabled, users.block_time
  from foreign_identities join users on users.id = foreign_identities.user_id
  where foreign_identities.issuer = ? and foreign_identities.subject = ?`;

/** The foreign identities in PostgreSQL. */
export function createForeignIdentityRepository(
  postgres: Postgres,
  audit: Audit,
): ForeignIdentityRepository {
  return {
    async settle(user) {
      const issuer = toText(user.issuer);
      const subject = toText(user.subject);
      return postgres.work((em) =>
        em.transactional(async (em) => {
          const [known] = await em.execute<Row[]>(findOwner, [issuer, subject]);
          if (known?.role === user.role) return toOwner(known);
          // Two first sights at once, or two new roles, go one after the other.
          await em.execute("select pg_advisory_xact_lock(hashtextextended(?, 0))", [
            `${issuer} ${subject}`,
          ]);
          const [row] = await em.execute<Row[]>(findOwner, [issuer, subject]);
          if (row === undefined) {
            const id = randomUUIDv7();
            // An e-mail that somebody has already stays theirs: it proves nothing about them.
            await em.execute(
              `insert into users (id, email, display_name, role)
               select ?, case when exists (select from users where lower(email) = lower(?))
                 then null else ?::text end, ?, ?`,
              [id, user.email ?? null, user.email ?? null, toText(user.displayName), user.role],
            );
            await em.execute(
              "insert into foreign_identities (issuer, subject, user_id) values (?, ?, ?)",
              [issuer, subject, id],
            );
            await audit.record(
              em,
              createTrail("identity.user.create", undefined, {
                resource: `user/${id}`,
                subjectId: id,
                facts: { issuer, role: user.role },
              }),
            );
            return { userId: id, role: user.role, isDisabled: false, blockTime: undefined };
          }
          await em.execute("update users set role = ?, update_time = now() where id = ?", [
            user.role,
            row.id,
          ]);
          await audit.record(
            em,
            createTrail("identity.user.update", undefined, {
              resource: `user/${row.id}`,
              subjectId: row.id,
              facts: { issuer, role: user.role },
            }),
          );
          return toOwner({ ...row, role: user.role });
        }),
      );
    },
  };
}

function toOwner({ id, role, disabled, block_time: blockTime }: Row): ForeignOwner {
  return { userId: id, role, isDisabled: disabled, blockTime: blockTime ?? undefined };
}
