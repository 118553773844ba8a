/** A PostgreSQL that drills can crash, restart and freeze, always on the same port. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { startEmbeddedPostgres } from "../../src/embedded/postgres.ts";
import { preparePostgresHome } from "../../src/embedded/postgres-home.ts";
import { waitUntil } from "../../src/embedded/process.ts";
import { supervise } from "../../src/embedded/supervise.ts";
import { entities } from "../../src/entities.ts";
import { migrate } from "../../src/postgres/migrator.ts";
import { createPostgres, type Postgres } from "../../src/postgres/postgres.ts";
import { freePort } from "../support/redis.ts";

/** The server of all drills. */
export interface DrillPostgres {
  /** Makes a migrated database of this name and gives its URL. */
  createDatabase(name: string): Promise<string>;
  dropDatabase(name: string): Promise<void>;
  start(): Promise<void>;
  /** `crashes`: without writing a checkpoint, so that the next start recovers from the log. */
  end(crashes: boolean): Promise<void>;
  /** Stops all its processes where they are. */
  freeze(): void;
  thaw(): void;
}

const startTimeoutMs = 30_000;
/**
 * A commit is acknowledged when its log is with the system, which survives the death of the
 * processes; that it is on disk only matters when machines die.
 */
const settings = [
  "listen_addresses=127.0.0.1",
  "unix_socket_directories=",
  "timezone=UTC",
  "jit=off",
  "fsync=off",
  "synchronous_commit=on",
  "shared_buffers=64MB",
  "max_connections=120",
];
const template = "drill_template";

/** Makes it in this folder, and starts it. */
export async function startPostgres(directory: string): Promise<DrillPostgres> {
  // The embedded one makes the data; started by ourselves, it keeps its port.
  const maker = await startEmbeddedPostgres({ directory });
  const { username, password } = new URL(maker.url);
  await maker.stop();
  const home = await preparePostgresHome(directory, () => {});
  const port = await freePort();
  const urlOf = (name: string) => `postgres://${username}:${password}@127.0.0.1:${port}/${name}`;
  const data = join(home.path, "data");
  let server: ReturnType<typeof supervise> | undefined;
  let frozen: number[] = [];

  const pid = () => Number.parseInt(readFileSync(join(data, "postmaster.pid"), "utf8"), 10);

  async function start(): Promise<void> {
    server = supervise({
      command: home.programs.postgres,
      args: ["-D", data, ...[...settings, `port=${port}`].flatMap((setting) => ["-c", setting])],
      stopSignal: "INT",
      stopTimeoutMs: startTimeoutMs,
      logFile: join(home.path, "log"),
      environment: { LC_ALL: "C", TZ: "UTC", PATH: process.env["PATH"] },
      user: home.user,
    });
    if (!(await waitUntil(() => answers(), startTimeoutMs)))
      throw new Error("PostgreSQL did not start");
  }
  async function answers(): Promise<boolean> {
    if (!(await isListening(port))) return false;
    return administer("postgres", "select 1").then(
      () => true,
      () => false,
    );
  }
  async function administer(database: string, statement: string): Promise<void> {
    const postgres = await createPostgres({ url: urlOf(database), entities, poolSize: 1 });
    try {
      await postgres.work((em) => em.execute(statement));
    } finally {
      await postgres.close();
    }
  }

  await start();
  await administer("postgres", `create database ${template}`);
  const migrated: Postgres = await createPostgres({ url: urlOf(template), entities });
  await migrate(migrated);
  await migrated.close();

  return {
    async createDatabase(name) {
      await administer("postgres", `create database ${name} template ${template}`);
      return urlOf(name);
    },
    dropDatabase: (name) => administer("postgres", `drop database ${name} with (force)`),
    start,
    async end(crashes) {
      if (crashes) process.kill(pid(), "SIGQUIT");
      await server?.stop();
    },
    freeze() {
      const postmaster = pid();
      process.kill(postmaster, "SIGSTOP");
      frozen = [postmaster, ...childrenOf(postmaster)];
      for (const process_ of frozen) signal(process_, "SIGSTOP");
    },
    thaw() {
      for (const process_ of frozen.reverse()) signal(process_, "SIGCONT");
      frozen = [];
    },
  };
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch {
    // A backend that has ended meanwhile.
  }
}

function childrenOf(parent: number): number[] {
  const listing = execFileSync("ps", ["-A", "-o", "pid=,ppid="], { encoding: "utf8" });
  return listing
    .split("\n")
    .map((line) => line.trim().split(/\s+/).map(Number))
    .filter(([, ppid]) => ppid === parent)
    .map(([pid = 0]) => pid);
}

function isListening(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => resolve(true)).once("error", () => resolve(false));
    socket.once("connect", () => socket.destroy());
  });
}
