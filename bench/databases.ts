/** The databases of a run: real, durable, on the other core, in a new folder each time. */
import type { ChildProcess } from "node:child_process";
import { readFileSync, realpathSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../src/embedded/postgres.ts";
import { entities } from "../src/entities.ts";
import { createPostgres } from "../src/postgres/postgres.ts";
import { freePort, startProgram, stop } from "./processes.ts";

/** Where one service keeps its data. */
export interface DatabaseUrls {
  databaseUrl: string;
  redisUrl: string;
}

export interface Databases {
  postgresPid: number;
  redis: ChildProcess;
  /** Makes empty databases for one more service. */
  another(): Promise<DatabaseUrls>;
  /** Ends them and deletes their files. */
  stop(): Promise<void>;
}

/**
 * PostgreSQL acknowledges a commit when it is on disk: these are its defaults, named here
 * because the figures would mean nothing without them.
 */
const durable = { fsync: "on", synchronous_commit: "on", full_page_writes: "on" };

export async function startDatabases(directory: string): Promise<Databases> {
  const postgres = await startEmbeddedPostgres({ directory, settings: durable });
  const pidFile = readFileSync(join(directory, "postgres/data/postmaster.pid"), "utf8");
  const port = await freePort();
  const options = ["--port", String(port), "--bind", "127.0.0.1", "--save", "", "--dir", directory];
  const redis = startProgram("redis-server", options);
  let services = 0;
  return {
    async another() {
      const name = `service_${services}`;
      const administrator = await createPostgres({ url: postgres.url, entities, poolSize: 1 });
      await administrator.work((em) => em.execute(`create database ${name}`));
      await administrator.close();
      const databaseUrl = new URL(name, postgres.url).href;
      return { databaseUrl, redisUrl: `redis://127.0.0.1:${port}/${services++}` };
    },
    postgresPid: Number.parseInt(pidFile, 10),
    redis,
    async stop() {
      await Promise.all([postgres.stop(), stop(redis)]);
      rmSync(realpathSync(join(directory, "postgres")), { recursive: true });
    },
  };
}
