import { auditPrivileges } from "./audit/privileges.repository.ts";
import { entities } from "./entities.ts";
import { migrate } from "./postgres/migrator.ts";
import { createPostgres } from "./postgres/postgres.ts";
import { grantServiceRole, renewServiceRole } from "./postgres/service-role.ts";

/** The role that the service has in the embedded database. */
const embeddedRole = "tribe_service";

/**
 * Brings a database that is ours alone up to date, as its owner, and gives the URL of a role that
 * may do what the service needs and nothing more: it cannot change the audit log.
 */
export async function prepareEmbeddedDatabase(
  ownerUrl: string,
  role: string = embeddedRole,
): Promise<string> {
  const owner = await createPostgres({ url: ownerUrl, entities, poolSize: 1 });
  try {
    await migrate(owner);
    const password = await renewServiceRole(owner, role);
    await grantServiceRole(owner, role, auditPrivileges);
    const url = new URL(ownerUrl);
    url.username = role;
    url.password = password;
    return url.href;
  } finally {
    await owner.close();
  }
}
