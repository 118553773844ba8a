/**
 * `npm run migrate` brings the database of DATABASE_URL up to date;
 * `npm run migrate:create -- name` writes a migration for what changed in the entities.
 */
import { createConfigReader } from "./config-reader.ts";
import { entities } from "./entities.ts";
import { createMigration, migrate } from "./postgres/migrator.ts";
import { createPostgres } from "./postgres/postgres.ts";

const [command, name] = process.argv.slice(2);

if (command === "create") {
  if (name === undefined || !/^[a-z0-9-]+$/.test(name)) {
    fail("say what changes: npm run migrate:create -- add-something");
  }
  // Compares with the snapshot: no database is asked.
  const postgres = await createPostgres({ url: "postgres://localhost/tribe", entities });
  const file = await createMigration(postgres, name);
  await postgres.close();
  print(file === undefined ? "The entities have not changed." : `Wrote ${file}.`);
} else {
  const url = databaseUrl();
  const postgres = await createPostgres({ url, entities, statementTimeoutMs: 3_600_000 });
  try {
    const migrations = await migrate(postgres);
    for (const migration of migrations) print(`Ran ${migration}.`);
    if (migrations.length === 0) print("The database is up to date.");
  } finally {
    await postgres.close();
  }
}

/** Only this one key is read: a migration needs neither providers nor Redis. */
function databaseUrl(): string {
  const reader = createConfigReader(process.env);
  const url = reader.url("DATABASE_URL", ["postgres", "postgresql"]);
  if (reader.faults.length > 0) fail(reader.faults.join("\n"));
  return url ?? fail("DATABASE_URL is not set: postgres://user:password@host:5432/tribe");
}

function print(line: string) {
  process.stdout.write(`${line}\n`);
}

function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(1);
}
