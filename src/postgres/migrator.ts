import type { Postgres } from "./postgres.ts";

/** Brings the schema up to date. Returns the names of the migrations that ran. */
export async function migrate({ orm }: Postgres): Promise<string[]> {
  const migrations = await orm.migrator.up();
  return migrations.map(({ name }) => name);
}

/** The names of the migrations that have not run. */
export async function pendingMigrations({ orm }: Postgres): Promise<string[]> {
  const migrations = await orm.migrator.getPending();
  return migrations.map(({ name }) => name);
}

/**
 * Writes a migration from the committed snapshot to the entities as they are now, and
 * the new snapshot. Returns the new file's name, or undefined when nothing changed.
 */
export async function createMigration({ orm }: Postgres, name: string) {
  const { fileName } = await orm.migrator.create(undefined, false, false, name);
  return fileName === "" ? undefined : fileName;
}
