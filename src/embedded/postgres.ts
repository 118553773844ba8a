import { execFile } from "node:child_process";
import { chownSync, existsSync, readFileSync, renameSync, rmSync, statSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { promisify } from "node:util";
import { prepareDirectory } from "./directory.ts";
import { preparePostgresHome, type PostgresHome } from "./postgres-home.ts";
import { commandLine, isAlive, waitUntil } from "./process.ts";
import { createPrivateFile, keptSecret, randomSecret } from "./secret.ts";
import { supervise, type SupervisedServer } from "./supervise.ts";

/** A running embedded PostgreSQL. */
export interface EmbeddedPostgres {
  /** Connection URL with its password; it answers on 127.0.0.1 only. */
  readonly url: string;
  /** Resolves with a description when it ends, asked or not. Never rejects. */
  readonly ended: Promise<string>;
  /** Ends it cleanly; open connections are cut. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  /** Data, log and password live in here and are kept between runs. */
  directory: string;
  /** Says what is being done, in a sentence without a full stop. */
  onProgress?: (message: string) => void;
  /** Server settings on top of ours, for example `{ fsync: "off" }` for throw-away tests. */
  settings?: Readonly<Record<string, string>>;
}

const majorVersion = "18";
const startTimeoutMs = 60_000;
const stopTimeoutMs = 60_000;
/** The superuser and owner of everything; the database is the one that initdb makes. */
const userName = "tribe";
const databaseName = "postgres";
/** Our own environment stays ours: PGDATA, PGPORT or a missing locale must not reach PostgreSQL. */
const environment = { LC_ALL: "C", TZ: "UTC", PATH: process.env["PATH"] };

const ownSettings = {
  listen_addresses: "127.0.0.1",
  unix_socket_directories: "",
  timezone: "UTC",
  log_timezone: "UTC",
  log_checkpoints: "off",
  jit: "off",
};

/**
 * Starts the PostgreSQL of this folder, making its data the first time (about a second).
 * What a killed run left running is stopped first.
 */
export async function startEmbeddedPostgres(
  options: EmbeddedPostgresOptions,
): Promise<EmbeddedPostgres> {
  const report = options.onProgress ?? (() => {});
  prepareDirectory(options.directory);
  const home = await preparePostgresHome(options.directory, report);
  const data = join(home.path, "data");
  const password = keptSecret(join(options.directory, "postgres-password"), randomSecret);
  if (existsSync(data)) await endEarlierRun(data, report);
  else {
    report(`Making a PostgreSQL ${majorVersion} database (once)`);
    await initialise(home, data, password);
  }
  requireSameVersion(data);

  report(`Starting PostgreSQL ${majorVersion}`);
  const settings = { ...ownSettings, ...options.settings };
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const server = startServer(home, data, { ...settings, port: String(port) });
    const failure = await untilReady(server, data);
    if (failure === undefined) {
      const url = `postgres://${userName}:${password}@127.0.0.1:${port}/${databaseName}`;
      return { url, ended: server.ended, stop: () => server.stop() };
    }
    // Somebody may have taken the port between our look and PostgreSQL's; else it is of no use.
    if (attempt === 3)
      throw new Error(`PostgreSQL ${failure}; its log says:\n${logEnd(home.path)}`);
  }
}

function startServer(
  home: PostgresHome,
  data: string,
  settings: Record<string, string>,
): SupervisedServer {
  return supervise({
    command: home.programs.postgres,
    args: [
      "-D",
      data,
      ...Object.entries(settings).flatMap(([key, value]) => ["-c", `${key}=${value}`]),
    ],
    stopSignal: "INT", // "Fast": roll back what is open, write a checkpoint, end.
    stopTimeoutMs,
    logFile: join(home.path, "log"),
    environment,
    user: home.user,
  });
}

/** Waits until it takes connections; otherwise returns why it does not. */
async function untilReady(server: SupervisedServer, data: string): Promise<string | undefined> {
  let failure: string | undefined;
  void server.ended.then((description) => (failure = description));
  const isSettled = () => failure !== undefined || readPidFile(data)?.status === "ready";
  if (await waitUntil(isSettled, startTimeoutMs)) return failure;
  await server.stop();
  return `did not become ready within ${startTimeoutMs / 1000} seconds`;
}

/** Makes the data in a folder aside and renames it when it is whole: a killed first run leaves nothing. */
async function initialise(home: PostgresHome, data: string, password: string): Promise<void> {
  const draft = `${data}.new`;
  const passwordFile = join(home.path, "initial-password");
  rmSync(draft, { recursive: true, force: true });
  rmSync(passwordFile, { force: true });
  createPrivateFile(passwordFile, password);
  if (home.user !== undefined) chownSync(passwordFile, home.user.uid, home.user.gid);
  try {
    const flags = [
      `--pgdata=${draft}`,
      `--username=${userName}`,
      `--pwfile=${passwordFile}`,
      "--auth=scram-sha-256",
      "--encoding=UTF8",
      // PostgreSQL's own locale: the same order everywhere, whatever the machine has.
      "--locale-provider=builtin",
      "--builtin-locale=C.UTF-8",
      "--no-instructions",
    ];
    await promisify(execFile)(home.programs.initdb, flags, {
      cwd: "/",
      env: environment,
      ...home.user,
    });
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    const { stderr = "" } = error as { stderr?: string };
    throw new Error(`PostgreSQL could not make its database: ${stderr.trim() || String(error)}`, {
      cause: error,
    });
  } finally {
    rmSync(passwordFile, { force: true });
  }
  renameSync(draft, data);
}

/**
 * A run of ours that was killed may have left its PostgreSQL behind, or one that is still
 * ending. Two on the same data would destroy it: wait for the end of the first.
 */
async function endEarlierRun(data: string, report: (message: string) => void): Promise<void> {
  const pid = readPidFile(data)?.pid;
  if (pid === undefined || !isAlive(pid)) return; // PostgreSQL clears a dead one's file itself.
  if (commandLine(pid)?.includes(data) === false) {
    // The id belongs to somebody else by now, which PostgreSQL could not tell from a server.
    rmSync(join(data, "postmaster.pid"));
    return;
  }
  report("Ending the PostgreSQL of an earlier run");
  for (const signal of ["SIGINT", "SIGQUIT"] as const) {
    process.kill(pid, signal);
    if (await waitUntil(() => !isAlive(pid), stopTimeoutMs)) return;
  }
  throw new Error(`The PostgreSQL of an earlier run, process ${pid}, does not end: end it by hand`);
}

/** https://www.postgresql.org/docs/18/storage-file-layout.html: postmaster.pid. */
function readPidFile(data: string): { pid: number; status: string } | undefined {
  try {
    const lines = readFileSync(join(data, "postmaster.pid"), "utf8").split("\n");
    const pid = Number(lines[0]);
    return Number.isInteger(pid) && pid > 0 ? { pid, status: lines[7]?.trim() ?? "" } : undefined;
  } catch {
    return undefined;
  }
}

function requireSameVersion(data: string): void {
  const version = readFileSync(join(data, "PG_VERSION"), "utf8").trim();
  if (version !== majorVersion)
    throw new Error(
      `${data} was written by PostgreSQL ${version}, this is ${majorVersion}: ` +
        "move the folder away to begin anew, or run that version and set DATABASE_URL",
    );
}

function logEnd(home: string): string {
  const path = join(home, "log");
  if (!existsSync(path) || statSync(path).size === 0) return "(nothing)";
  return readFileSync(path, "utf8").trimEnd().split("\n").slice(-10).join("\n");
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await new Promise<void>((resolve, reject) =>
    probe.once("listening", resolve).once("error", reject),
  );
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
