import { spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  realpathSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { entities } from "../../src/entities.ts";
import { isAlive, waitUntil } from "../../src/embedded/process.ts";
import { createPostgres } from "../../src/postgres/postgres.ts";
import { createRedis } from "../../src/redis/redis.ts";
import { makeFolder } from "../support/folder.ts";

const program = join(import.meta.dirname, "server.ts");
const folder = makeFolder();
const directory = join(folder.path, ".tribe");
afterAll(() => folder.remove());

interface Started {
  postgresUrl: string;
  redisPath: string;
  adminKey: string;
  progress: string[];
}

const running = new Set<ReturnType<typeof spawnProgram>>();
afterEach(async () => {
  for (const server of running) await server.finish();
});

/** Starts it in a process group of its own, as a shell does with a command. */
function spawnProgram(inDirectory = directory) {
  const child = spawn(process.execPath, [program, inDirectory], { detached: true });
  const lines = createInterface(child.stdout)[Symbol.asyncIterator]();
  let errors = "";
  child.stderr.on("data", (chunk) => (errors += String(chunk)));
  const exit = once(child, "exit") as Promise<[number | null, NodeJS.Signals | null]>;
  return {
    pid: child.pid ?? 0,
    exit,
    errors: () => errors,
    nextLine: async () => String((await lines.next()).value),
    finish: async () => {
      child.stdin.end();
      await exit;
    },
  };
}

async function start(inDirectory?: string) {
  const server = spawnProgram(inDirectory);
  running.add(server);
  void server.exit.then(() => running.delete(server));
  const line = await server.nextLine();
  if (!line.startsWith("{")) throw new Error(server.errors());
  return { ...server, ...(JSON.parse(line) as Started) };
}

async function sql(url: string, text: string): Promise<unknown[][]> {
  const postgres = await createPostgres({ url, entities });
  try {
    return await postgres.query({ name: "", text }, []);
  } finally {
    await postgres.close();
  }
}

async function redisCommand(path: string, ...args: string[]): Promise<unknown> {
  const redis = createRedis({ address: { kind: "socket", path } });
  await waitUntil(redis.isReady, 5000);
  try {
    return await redis.command(args[1] ?? "", args);
  } finally {
    await redis.close();
  }
}

/** The process ids of the embedded servers. */
async function serverPids(server: Started): Promise<number[]> {
  const postmaster = readFileSync(join(directory, "postgres", "data", "postmaster.pid"), "utf8");
  const info = String(await redisCommand(server.redisPath, "INFO", "server"));
  return [Number(postmaster.split("\n")[0]), Number(/process_id:(\d+)/.exec(info)?.[1])];
}

describe("the embedded servers", { timeout: 120_000 }, () => {
  it("keep data, key and secrets between runs", async () => {
    const first = await start();
    expect(first.progress).toContain("Making a PostgreSQL 18 database (once)");
    await sql(first.postgresUrl, "create table kept as select 42 as answer");
    await redisCommand(first.redisPath, "SET", "kept", "42");
    await first.finish();
    expect(await first.exit).toEqual([0, null]);

    const second = await start();
    expect(second.progress).not.toContain("Making a PostgreSQL 18 database (once)");
    expect(await sql(second.postgresUrl, "select answer from kept")).toEqual([[42]]);
    expect(await redisCommand(second.redisPath, "GET", "kept")).toBe("42");
    expect(second.adminKey).toBe(first.adminKey);
    expect(second.adminKey).toMatch(/^tribe_[\w-]{43}$/);
  });

  it("are real, durable and private", async () => {
    const server = await start();
    const shown = await sql(
      server.postgresUrl,
      "select version(), current_setting('fsync'), current_setting('listen_addresses'), current_setting('server_encoding')",
    );
    expect(shown).toEqual([[expect.stringMatching(/^PostgreSQL 18\./), "on", "127.0.0.1", "UTF8"]]);
    await expect(
      sql(server.postgresUrl.replace(/:[^:@]+@/, ":guess@"), "select 1"),
    ).rejects.toThrow(/password authentication failed/);
    const open = ["admin-key", "postgres-password", "lock", "redis", "postgres"].filter(
      (name) => (statSync(join(directory, name)).mode & 0o077) !== 0,
    );
    expect(open).toEqual([]);
  });

  it("end with a process that is killed, and the next run goes on where it was", async () => {
    const killed = await start();
    await sql(killed.postgresUrl, "create table acknowledged as select 1 as one");
    await redisCommand(killed.redisPath, "SET", "acknowledged", "1");
    const pids = await serverPids(killed);
    process.kill(killed.pid, "SIGKILL");
    await killed.exit;

    const next = await start(); // At once: the old ones may still be ending.
    expect(await sql(next.postgresUrl, "select one from acknowledged")).toEqual([[1]]);
    expect(await redisCommand(next.redisPath, "GET", "acknowledged")).toBe("1");
    expect(pids.filter(isAlive)).toEqual([]);
    await next.finish();
  });

  it("are stopped first where a killed run left them running", async () => {
    const killed = await start();
    await sql(killed.postgresUrl, "create table survived as select 1 as one");
    const pids = await serverPids(killed);
    // With their watchers stopped they cannot notice that we are gone.
    const watchers = pids.flatMap((pid) => processGroup(pid).filter((other) => other !== pid));
    expect(watchers.length).toBeGreaterThanOrEqual(pids.length);
    // The youngest first: when its parent ends, our end of the pipe is closed, and that it would notice.
    for (const watcher of watchers.sort((a, b) => b - a)) process.kill(watcher, "SIGKILL");
    process.kill(killed.pid, "SIGKILL");
    await killed.exit;
    expect(pids.map(isAlive)).toEqual([true, true]);

    const next = await start();
    expect(next.progress).toContain("Ending the PostgreSQL of an earlier run");
    expect(next.progress).toContain("Ending the Redis of an earlier run");
    expect(await sql(next.postgresUrl, "select one from survived")).toEqual([[1]]);
    expect(pids.filter(isAlive)).toEqual([]);
  });

  it("start although another process has the id of an earlier run's", async () => {
    await (await start()).finish();
    const pidFile = join(directory, "postgres", "data", "postmaster.pid");
    expect(existsSync(pidFile)).toBe(false);
    writeFileSync(pidFile, `${process.pid}\n${directory}\n1\n1\n\n127.0.0.1\n1\nready\n`);
    const server = await start();
    expect(await sql(server.postgresUrl, "select 1")).toEqual([[1]]);
  });

  it("are not reached by Ctrl-C before we are done with them", async () => {
    const server = await start();
    const pids = await serverPids(server);
    process.kill(-server.pid, "SIGINT"); // The whole group, as a terminal does.
    expect(await server.nextLine()).toBe("interrupted");
    expect(await sql(server.postgresUrl, "select 1")).toEqual([[1]]);
    expect(await redisCommand(server.redisPath, "ECHO", "here")).toBe("here");
    await server.finish();
    expect(await server.nextLine()).toBe("ended with status 0");
    expect(pids.filter(isAlive)).toEqual([]);
    expect(existsSync(join(directory, "lock"))).toBe(false);
  });

  it("are not started twice in one folder", async () => {
    const first = await start();
    const second = spawnProgram();
    expect((await second.exit)[0]).toBe(1);
    expect(second.errors()).toContain(
      `Tribe already runs here (process ${first.pid}, http://127.0.0.1:8080)`,
    );
    expect(second.errors()).toContain(
      "TRIBE_DIR=.tribe-2 HTTP_PORT=8081 GRPC_PORT=9091 METRICS_PORT=9465 npm start",
    );
    expect(await sql(first.postgresUrl, "select 1")).toEqual([[1]]);
  });

  it("have a home elsewhere where root's PostgreSQL user cannot reach the folder", async () => {
    const closed = join(folder.path, "closed");
    mkdirSync(closed, { mode: 0o700 });
    const isRoot = process.getuid?.() === 0;
    const first = await start(join(closed, ".tribe"));
    const home = realpathSync(join(closed, ".tribe", "postgres"));
    try {
      expect(home.startsWith(isRoot ? "/var/lib/tribe/postgres-" : closed)).toBe(true);
      expect(first.progress.some((message) => message.includes(home))).toBe(isRoot);
      await sql(first.postgresUrl, "create table kept as select 42 as answer");
      await first.finish();
      const second = await start(join(closed, ".tribe"));
      expect(await sql(second.postgresUrl, "select answer from kept")).toEqual([[42]]);
      await second.finish();
    } finally {
      rmSync(home, { recursive: true });
    }
  });

  it("work at the end of a path that is too long for a socket", async () => {
    const server = await start(join(folder.path, "a-long-name-".repeat(9), ".tribe"));
    expect(await redisCommand(server.redisPath, "ECHO", "here")).toBe("here");
    await server.finish();
    rmSync(join(server.redisPath, ".."), { recursive: true });
  });
});

/** The ids of the processes of the group that this one belongs to. */
function processGroup(pid: number): number[] {
  const groupOf = (id: string) => {
    try {
      const status = readFileSync(`/proc/${id}/stat`, "utf8");
      return status.slice(status.lastIndexOf(")") + 2).split(" ")[2];
    } catch {
      return undefined;
    }
  };
  const group = groupOf(String(pid));
  return readdirSync("/proc")
    .filter((id) => /^\d+$/.test(id) && groupOf(id) === group)
    .map(Number);
}
