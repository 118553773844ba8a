/** Starting, pinning, asking and ending the processes of a bench run. */
import { fork, spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { openSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";

const children = new Set<ChildProcess>();
// Whatever ends the bench, nothing that it started stays.
process.on("exit", () => {
  for (const child of children) child.kill("SIGKILL");
});

function keep(child: ChildProcess): ChildProcess {
  children.add(child);
  child.once("exit", () => children.delete(child));
  return child;
}

/** The core that the measured services share; they are measured one after the other. */
export const serviceCore = 0;
/** The core of everything else. The bench itself runs there, and so do its children. */
export const otherCore = 1;

export interface ServiceOptions {
  name: string;
  /** Arguments of node. */
  command: string[];
  environment: Record<string, string>;
  /** The folder to run in. Default: that of the bench. */
  directory?: string;
  /** Folder of the log `<name>.log`. */
  logs: string;
  /** Answers with a success once the service is ready. */
  readyUrl: string;
}

/** Starts a service on the service core, with its output in a file. Returns when it is ready. */
export async function startService(service: ServiceOptions): Promise<ChildProcess> {
  const log = join(service.logs, `${service.name}.log`);
  const output = openSync(log, "a");
  const child = keep(
    spawn("taskset", ["-c", String(serviceCore), process.execPath, ...service.command], {
      cwd: service.directory ?? process.cwd(),
      env: { ...process.env, NODE_ENV: "production", ...service.environment },
      stdio: ["ignore", output, output],
    }),
  );
  const deadline = Date.now() + 60_000;
  for (;;) {
    if (child.exitCode !== null || Date.now() > deadline) {
      throw new Error(`${service.name} did not start: see ${log}`);
    }
    const ready = await fetch(service.readyUrl).then(
      (response) => response.ok,
      () => false,
    );
    if (ready) return child;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

/** Runs a program to its end; throws its output unless it succeeds. */
export async function runProgram(
  command: string,
  commandArguments: string[],
  environment: Record<string, string> = {},
): Promise<void> {
  const child = keep(spawn(command, commandArguments, { env: { ...process.env, ...environment } }));
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (text: Buffer) => (output += text.toString()));
  }
  const [code] = await once(child, "close");
  if (code !== 0) throw new Error(`${command} ${commandArguments.join(" ")} failed:\n${output}`);
}

/** Starts one of the bench's own processes; it is spoken to by messages. */
export function startWorker(file: string): ChildProcess {
  return keep(fork(new URL(file, import.meta.url), { serialization: "advanced" }));
}

/** Starts a program of the other core. */
export function startProgram(command: string, commandArguments: string[]): ChildProcess {
  return keep(spawn(command, commandArguments, { stdio: "ignore" }));
}

/** The next message of a worker; sends it a question first, if there is one. */
export async function ask<Answer>(worker: ChildProcess, question?: object): Promise<Answer> {
  const listening = new AbortController();
  const { signal } = listening;
  const answer = once(worker, "message", { signal });
  const gone = once(worker, "exit", { signal }).then(() => {
    throw new Error("a process of the bench ended");
  });
  if (question) worker.send(question);
  try {
    const [message] = (await Promise.race([answer, gone])) as [Answer];
    return message;
  } finally {
    listening.abort();
    await Promise.allSettled([answer, gone]);
  }
}

/** Ends a child and waits until it is gone. */
export async function stop(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill(signal);
  const impatience = setTimeout(() => child.kill("SIGKILL"), 10_000);
  await gone;
  clearTimeout(impatience);
}

/** A port that was free just now. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}
