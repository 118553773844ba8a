import { randomBytes } from "node:crypto";
import type { Postgres } from "./postgres.ts";

/** What a role may do with a table, instead of reading and writing it. */
export type TablePrivileges = Readonly<
  Record<string, readonly ("select" | "insert" | "update" | "delete")[]>
>;

/** Names that need no escaping. */
export const roleNamePattern: RegExp = /^[A-Za-z_][A-Za-z0-9_-]{0,62}$/;

/**
 * Gives a role what the service needs of all tables, and of some of them only what is said;
 * whatever it had beyond that is taken away. For the role that owns the tables to call, after
 * every migration.
 */
export async function grantServiceRole(
  postgres: Postgres,
  role: string,
  restricted: TablePrivileges,
): Promise<void> {
  if (!roleNamePattern.test(role)) throw new Error(`"${role}" is no name of a role`);
  await postgres.work((em) =>
    em.transactional(async (em) => {
      const tables = await em.execute<{ name: string }[]>(
        "select tablename as name from pg_tables where schemaname = current_schema() order by 1",
      );
      const [schema] = await em.execute<{ name: string }[]>("select current_schema() as name");
      await em.execute(`grant usage on schema "${schema?.name}" to "${role}"`);
      for (const { name } of tables) {
        const privileges = restricted[name] ?? ["select", "insert", "update", "delete"];
        await em.execute(`revoke all on "${name}" from "${role}"`);
        await em.execute(`grant ${privileges.join(", ")} on "${name}" to "${role}"`);
      }
    }),
  );
}

/** Makes the role if there is none, and gives it a new password, which it returns. */
export async function renewServiceRole(postgres: Postgres, role: string): Promise<string> {
  if (!roleNamePattern.test(role)) throw new Error(`"${role}" is no name of a role`);
  const password = randomBytes(24).toString("base64url");
  await postgres.work(async (em) => {
    const [found] = await em.execute<unknown[]>("select 1 from pg_roles where rolname = ?", [role]);
    const verb = found === undefined ? "create" : "alter";
    await em.execute(
      `${verb} role "${role}" login nosuperuser nocreatedb nocreaterole password '${password}'`,
    );
  });
  return password;
}
