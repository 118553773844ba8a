/** A PostgreSQL of its own with a streaming standby. */
import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../../src/embedded/postgres.ts";
import { entities } from "../../src/entities.ts";
import { migrate } from "../../src/postgres/migrator.ts";
import { createPostgres } from "../../src/postgres/postgres.ts";
import { makeFolder } from "./folder.ts";

export interface ReplicatedPostgres {
  /** `DATABASE_URL`, with all migrations done. */
  primaryUrl: string;
  /** `DATABASE_REPLICA_URLS`. */
  standbyUrl: string;
  stopStandby(): Promise<void>;
  close(): Promise<void>;
}

/**
 * Starts both, with more of PostgreSQL's settings. The standby begins as a copy of the primary,
 * which rests meanwhile.
 */
export async function startReplicatedPostgres(
  more: Readonly<Record<string, string>> = {},
): Promise<ReplicatedPostgres> {
  const [primaryFolder, standbyFolder] = [makeFolder(), makeFolder()];
  const settings = { fsync: "off", full_page_writes: "off", shared_buffers: "32MB", ...more };
  const first = await startEmbeddedPostgres({ directory: primaryFolder.path, settings });
  const postgres = await createPostgres({ url: first.url, entities });
  await migrate(postgres);
  await postgres.close();
  await first.stop();
  // With owners and rights, which PostgreSQL insists on.
  execFileSync("cp", ["-pR", `${primaryFolder.path}/.`, standbyFolder.path]);
  writeFileSync(join(standbyFolder.path, "postgres/data/standby.signal"), "");
  const primary = await startEmbeddedPostgres({ directory: primaryFolder.path, settings });
  const { hostname, port, username, password } = new URL(primary.url);
  const standby = await startEmbeddedPostgres({
    directory: standbyFolder.path,
    settings: {
      ...settings,
      primary_conninfo: `host=${hostname} port=${port} user=${username} password=${password}`,
    },
  });
  return {
    primaryUrl: primary.url,
    standbyUrl: standby.url,
    stopStandby: () => standby.stop(),
    async close() {
      await standby.stop();
      await primary.stop();
      primaryFolder.remove();
      standbyFolder.remove();
    },
  };
}
