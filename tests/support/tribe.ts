/** The operators' command line as a process of its own. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import type { Environment } from "../../src/config.ts";

/** What a command wrote, and what it ended with. */
export interface CommandResult {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Runs `tribe` with nothing in its environment but this and PATH. */
export async function tribe(
  args: readonly string[],
  environment: Environment = {},
  input = "",
): Promise<CommandResult> {
  const program = join(import.meta.dirname, "../../bin/tribe.js");
  const child = spawn(process.execPath, [program, ...args], {
    env: { PATH: process.env["PATH"], ...environment },
    stdio: ["pipe", "pipe", "pipe"],
  });
  child.stdin.end(input);
  const [stdout, stderr] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  return { code: child.exitCode, stdout, stderr };
}
