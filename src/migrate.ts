/** `npm run migrate:create -- name` writes a migration for what changed in the entities. */
import { entities } from "./entities.ts";
import { createMigration } from "./postgres/migrator.ts";
import { createPostgres } from "./postgres/postgres.ts";

const [command, name] = process.argv.slice(2);
if (command !== "create" || name === undefined || !/^[a-z0-9-]+$/.test(name)) {
  process.stderr.write("say what changes: npm run migrate:create -- add-something\n");
  process.exit(2);
}
// Compares with the snapshot: no database is asked.
const postgres = await createPostgres({ url: "postgres://localhost/tribe", entities });
const file = await createMigration(postgres, name);
await postgres.close();
process.stdout.write(file === undefined ? "The entities have not changed.\n" : `Wrote ${file}.\n`);
