import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { connect, createServer, type AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** A real redis-server of a test's own, on a free port of 127.0.0.1. */
export interface TestRedis {
  readonly url: string;
  readonly port: number;
  /** Its process, for tests that make it hang (SIGSTOP, SIGCONT) or kill it. */
  kill(signal: NodeJS.Signals): void;
  /** Starts it again on the same port, after a kill. */
  start(): Promise<void>;
  /** Ends it and removes its folder. */
  stop(): Promise<void>;
}

/**
 * Starts a redis-server with these settings (`{ "appendonly": "yes" }`); `stop` it in `afterAll`.
 * `firstArgs` go before them, for example a configuration file.
 */
export async function startRedis(
  settings: Record<string, string> = {},
  firstArgs: readonly string[] = [],
): Promise<TestRedis> {
  const folder = await mkdtemp(join(tmpdir(), "tribe-redis-"));
  const port = await freePort();
  const own = { port: String(port), bind: "127.0.0.1", dir: folder, save: "", databases: "4" };
  const args = [
    ...firstArgs,
    ...Object.entries({ ...own, ...settings }).flatMap(([key, value]) => [`--${key}`, value]),
  ];
  let server = spawnServer();

  function spawnServer() {
    const child = spawn("redis-server", args, { stdio: ["ignore", "pipe", "pipe"] });
    const output: string[] = [];
    child.stdout.on("data", (chunk) => output.push(String(chunk)));
    child.stderr.on("data", (chunk) => output.push(String(chunk)));
    return { child, output, exit: once(child, "exit") };
  }

  async function untilItListens() {
    while (!(await isListening(port))) {
      if (server.child.exitCode !== null)
        throw new Error(`redis-server ended:\n${server.output.join("")}`);
    }
  }

  await untilItListens();
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    kill: (signal) => void server.child.kill(signal),
    async start() {
      await server.exit;
      server = spawnServer();
      await untilItListens();
    },
    async stop() {
      server.child.kill("SIGKILL");
      await server.exit;
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, "close");
  return port;
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    return true;
  } catch {
    await new Promise((resolve) => setTimeout(resolve, 10));
    return false;
  } finally {
    socket.destroy();
  }
}
