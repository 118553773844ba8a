import { execFile } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
} from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { promisify } from "node:util";
import { prepareDirectory } from "./directory.ts";
import { waitUntil } from "./process.ts";
import { supervise, type SupervisedServer } from "./supervise.ts";

/** A running embedded Redis. */
export interface EmbeddedRedis {
  /** Its address; a part of Config's RedisAddress. */
  readonly address: { readonly kind: "socket"; readonly path: string };
  /** Ends it cleanly, everything written. */
  stop(): Promise<void>;
}

export interface EmbeddedRedisOptions {
  /** Its append-only file lives in here and is kept between runs. */
  directory: string;
  /** Says what is being done, in a sentence without a full stop. */
  onProgress?: (message: string) => void;
}

/** The oldest version that has what our scripts use. */
const oldestVersion = "6.2";
const startTimeoutMs = 30_000;
const stopTimeoutMs = 30_000;
/** Before one that has ended is started again. */
const shortestPauseMs = 200;
const longestPauseMs = 10_000;
/** The system's limit is 104 to 108 bytes, its last one a NUL. */
const longestSocketPath = 100;

/**
 * Starts the `redis-server` found on the PATH on a socket that only we can open.
 * What a killed run left running is stopped first.
 * @returns undefined, having said why, when there is none, or only one that is too old.
 */
export async function startEmbeddedRedis(
  options: EmbeddedRedisOptions,
): Promise<EmbeddedRedis | undefined> {
  const report = options.onProgress ?? (() => {});
  const version = await installedVersion();
  if (version === undefined || isOlder(version, oldestVersion)) {
    const found = version === undefined ? "No redis-server" : `Only Redis ${version}`;
    report(
      `${found} on the PATH (${oldestVersion} or newer is used if there is one): going on without`,
    );
    return undefined;
  }
  prepareDirectory(options.directory);
  const home = join(options.directory, "redis");
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const path = join(socketDirectory(home), "redis.sock");
  await endEarlierRun(path, report);

  report(`Starting Redis ${version}`);
  let server = launch(home, path);
  const failure = await untilReady(server, path);
  if (failure !== undefined)
    throw new Error(`Redis ${failure}; its log says:\n${logEnd(join(home, "log"))}`);
  const stopping = new AbortController();
  const kept = keepRunning();

  /** Everything goes on while it is away, with less; so it is started again, however it ended. */
  async function keepRunning(): Promise<void> {
    for (let pauseMs = shortestPauseMs; ; pauseMs = Math.min(pauseMs * 2, longestPauseMs)) {
      const startedAt = performance.now();
      await server.ended;
      if (performance.now() - startedAt > longestPauseMs) pauseMs = shortestPauseMs;
      await delay(pauseMs, undefined, { signal: stopping.signal }).catch(() => {});
      if (stopping.signal.aborted) return;
      server = launch(home, path);
    }
  }
  return {
    address: { kind: "socket", path },
    async stop() {
      stopping.abort();
      await server.stop();
      await kept;
    },
  };
}

function launch(home: string, socketPath: string): SupervisedServer {
  return supervise({
    command: "redis-server",
    args: settings(home, socketPath),
    stopSignal: "TERM",
    stopTimeoutMs,
    logFile: join(home, "log"),
    environment: { ...process.env, LC_ALL: "C" },
  });
}

function settings(home: string, socketPath: string): string[] {
  return Object.entries({
    port: "0",
    unixsocket: socketPath,
    unixsocketperm: "700",
    dir: home,
    appendonly: "yes",
    appendfsync: "everysec",
    save: "",
    loglevel: "notice",
    databases: "1",
  }).flatMap(([key, value]) => [`--${key}`, value]);
}

/** Waits until it has read its file and answers; otherwise returns why it does not. */
async function untilReady(server: SupervisedServer, path: string): Promise<string | undefined> {
  let failure: string | undefined;
  void server.ended.then((description) => (failure = description));
  const isSettled = async () => failure !== undefined || (await ask(path, "PING")) === "+PONG";
  if (await waitUntil(isSettled, startTimeoutMs)) return failure;
  await server.stop();
  return `did not become ready within ${startTimeoutMs / 1000} seconds`;
}

/**
 * A run of ours that was killed may have left its Redis behind, or one that is still ending.
 * Whoever answers on our socket is it, and it gives up the socket only when all is written.
 */
async function endEarlierRun(path: string, report: (message: string) => void): Promise<void> {
  if ((await ask(path, "PING")) === undefined) return;
  report("Ending the Redis of an earlier run");
  const isGone = async () => (await ask(path, "SHUTDOWN")) === undefined;
  if (!(await waitUntil(isGone, stopTimeoutMs)))
    throw new Error(`The Redis of an earlier run still answers on ${path}: end it by hand`);
}

/** The first line of the answer; empty when it hangs up without one, undefined when nobody is there. */
function ask(path: string, command: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(path);
    let answer = "";
    socket.once("connect", () => socket.write(`${command}\r\n`));
    socket.on("data", (chunk) => {
      answer += chunk.toString("latin1");
      if (answer.includes("\r\n")) socket.destroy();
    });
    let isThere = true;
    socket.once("error", () => (isThere = socket.bytesWritten > 0));
    socket.once("close", () => resolve(isThere ? answer.split("\r\n")[0] : undefined));
  });
}

/** The folder for the socket: the home, or a link to a short path where the home's is too long. */
function socketDirectory(home: string): string {
  if (Buffer.byteLength(join(home, "redis.sock")) <= longestSocketPath) return home;
  const link = join(home, "run");
  // A reboot may have taken the target away, and then anybody may have made one of that name.
  if (existsSync(link) && statSync(link).uid === process.getuid?.()) return readlinkSync(link);
  rmSync(link, { force: true });
  symlinkSync(mkdtempSync(join(tmpdir(), "tribe-")), link);
  return readlinkSync(link);
}

async function installedVersion(): Promise<string | undefined> {
  try {
    const { stdout } = await promisify(execFile)("redis-server", ["--version"]);
    return /\bv=(\d+\.\d+(?:\.\d+)?)/.exec(stdout)?.[1];
  } catch {
    return undefined;
  }
}

function isOlder(version: string, than: string): boolean {
  return version.localeCompare(than, "en", { numeric: true }) < 0;
}

function logEnd(path: string): string {
  return readFileSync(path, "utf8").trimEnd().split("\n").slice(-10).join("\n");
}
