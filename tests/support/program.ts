/** Tribe as a process of its own, as `npm start` makes it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { vi, expect } from "vitest";
import type { Environment } from "../../src/config.ts";

/** A running process. */
export interface TestProgram {
  /** REST, Connect and gRPC-Web. */
  baseUrl: string;
  /** gRPC without TLS. */
  grpcAddress: string;
  /** All that it wrote, to both streams. */
  output(): string;
  readonly child: ChildProcess;
  /** Ends it and waits until it has ended. */
  close(): Promise<void>;
}

/** Starts a process on free ports, with nothing in its environment but this and PATH. */
export async function startProgram(
  environment: Environment,
  nodeOptions: readonly string[] = [],
): Promise<TestProgram> {
  const main = join(import.meta.dirname, "../../src/main.ts");
  const child = spawn(process.execPath, [...nodeOptions, main], {
    env: {
      PATH: process.env["PATH"],
      HTTP_PORT: "0",
      GRPC_PORT: "0",
      METRICS_PORT: "0",
      ...environment,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  child.stdout.on("data", (chunk) => (output += String(chunk)));
  child.stderr.on("data", (chunk) => (output += String(chunk)));
  const exited = once(child, "exit");
  await vi.waitFor(
    () => {
      if (child.exitCode !== null) throw new Error(`it ended:\n${output}`);
      expect(output).toContain("Tribe is ready");
    },
    { timeout: 60_000 },
  );
  return {
    baseUrl: /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0] ?? "",
    grpcAddress: /gRPC +(127\.0\.0\.1:\d+)/.exec(output)?.[1] ?? "",
    output: () => output,
    child,
    async close() {
      child.kill("SIGTERM");
      await exited;
    },
  };
}
