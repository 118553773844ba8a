import type { Postgres, Statement } from "../postgres/postgres.ts";
import type { TablePrivileges } from "../postgres/service-role.ts";

/** What the service may do with the audit log, and the one row that says which migrations ran. */
export const auditPrivileges: TablePrivileges = {
  audit_events: ["select", "insert"],
  audit_links: ["select", "insert"],
  // The chain's end moves with every link; it is sealed.
  audit_head: ["select", "insert", "update"],
  audit_pending: ["select", "insert", "delete"],
  // Erased with their user; the digest of what was there stays.
  audit_details: ["select", "insert", "delete"],
  mikro_orm_migrations: ["select"],
};

/** Whether the role could change the log, or take back what keeps it from that. */
const rights: Statement = {
  name: "audit_rights",
  text: `
    select bool_or(pg_has_role(current_user, relowner, 'usage')
      or has_table_privilege(oid, 'update, delete, truncate, trigger'))
    from pg_class where oid in ('audit_events'::regclass, 'audit_links'::regclass)`,
};

/** Whether the role that we connect as could change the audit log: it owns it, or is a superuser. */
export async function couldChangeAuditLog(postgres: Postgres): Promise<boolean> {
  const [row] = await postgres.query<[boolean]>(rights, []);
  return row?.[0] ?? true;
}
