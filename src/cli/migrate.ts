import { readCliConfig } from "./cli-config.ts";
import type { Command } from "./command.ts";
import { OperatorError } from "./usage-error.ts";

/** Brings the database of DATABASE_URL up to date. */
export const migrateCommand: Command = {
  name: "migrate",
  summary: "Bring the database of DATABASE_URL up to date.",
  async run({ environment, output }) {
    const { database, serviceRole } = readCliConfig(environment);
    if (database === undefined) {
      throw new OperatorError(
        "DATABASE_URL is not set: postgres://user:password@host:5432/tribe. (The embedded database is brought up to date at every start.)",
      );
    }
    const { openDatabase } = await import("./database.ts");
    const { migrate } = await import("../postgres/migrator.ts");
    const postgres = await openDatabase(database);
    try {
      const migrations = await migrate(postgres);
      if (serviceRole !== undefined) {
        const { grantServiceRole } = await import("../postgres/service-role.ts");
        const { auditPrivileges } = await import("../audit/privileges.repository.ts");
        await grantServiceRole(postgres, serviceRole, auditPrivileges);
        output.note(`${serviceRole} may do what the service needs.`);
      }
      if (output.isJson) output.json({ migrations });
      for (const name of migrations) if (!output.isJson) output.line(`Ran ${name}.`);
      if (migrations.length === 0) output.note("The database is up to date.");
      return 0;
    } finally {
      await postgres.close();
    }
  },
};
