/** One process of the real program, on ports that it keeps over restarts. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Environment } from "../../src/config.ts";
import { freePort } from "../support/redis.ts";

/** How a process ended. */
export interface Exit {
  /** What it was asked for; `nobody`: it ended by itself. */
  askedBy: "SIGTERM" | "SIGKILL" | "nobody";
  code: number | null;
  signal: NodeJS.Signals | null;
}

export interface DrillService {
  /** Of REST and Connect. */
  readonly baseUrl: string;
  readonly exits: readonly Exit[];
  /** All that it has written. */
  output(): string;
  /** Starts it, and returns at once. */
  start(): void;
  /** Ends it, and waits for that. SIGTERM lets it finish. */
  end(signal: "SIGTERM" | "SIGKILL"): Promise<void>;
  /** Starts it if it is not there, and waits until it says that it is ready. */
  untilReady(deadline: number): Promise<void>;
}

const main = join(import.meta.dirname, "../../src/main.ts");
const forgottenChildren = new Set<ChildProcess>();
process.on("exit", () => {
  for (const child of forgottenChildren) child.kill("SIGKILL");
});

/** Its output goes to `<name>.log` of the folder. */
export async function createService(
  name: string,
  folder: string,
  environment: Environment,
): Promise<DrillService> {
  const [httpPort, grpcPort] = [await freePort(), await freePort()];
  const baseUrl = `http://127.0.0.1:${httpPort}`;
  const logFile = join(folder, `${name}.log`);
  const exits: Exit[] = [];
  let child: ChildProcess | undefined;
  let askedBy: Exit["askedBy"] = "nobody";

  function start(): void {
    const log = openSync(logFile, "a");
    askedBy = "nobody";
    const started = spawn(process.execPath, [main], {
      env: {
        PATH: process.env["PATH"],
        // Most of a start is stripping types and compiling, always of the same.
        NODE_COMPILE_CACHE: join(tmpdir(), "tribe-chaos-code"),
        HTTP_PORT: String(httpPort),
        GRPC_PORT: String(grpcPort),
        METRICS_PORT: "0",
        ...environment,
      },
      stdio: ["ignore", log, log],
    });
    closeSync(log);
    child = started;
    forgottenChildren.add(started);
    started.once("exit", (code, signal) => {
      forgottenChildren.delete(started);
      exits.push({ askedBy, code, signal });
      if (child === started) child = undefined;
    });
  }
  const output = () => readFileSync(logFile, "utf8");
  const isReady = () =>
    fetch(`${baseUrl}/health/ready`).then(
      async (response) => (await response.text()) !== "" && response.ok,
      () => false,
    );

  return {
    baseUrl,
    exits,
    output,
    start,
    async end(signal) {
      if (child === undefined) return;
      const ending = child;
      const exit = once(ending, "exit");
      askedBy = signal;
      ending.kill(signal);
      await exit;
    },
    async untilReady(deadline) {
      while (!(await isReady())) {
        const isGivenUp = exits.filter(({ askedBy }) => askedBy === "nobody").length > 2;
        if (isGivenUp || Date.now() > deadline)
          throw new Error(`${name} does not become ready:\n${output().slice(-2000)}`);
        if (child === undefined) start();
        await delay(50);
      }
    },
  };
}
