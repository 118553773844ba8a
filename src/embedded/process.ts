import { execFileSync, type ExecFileSyncOptionsWithStringEncoding } from "node:child_process";
import { readFileSync } from "node:fs";

/** Whether a process of this id exists, whoever owns it. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

/**
 * Names one life of a process id: ids are given out again, above all in containers
 * and after a reboot. Undefined when there is no such process or no way to tell.
 */
export function processIdentity(pid: number): string | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/stat`, "utf8");
    // Field 22 is the start in ticks since boot; the name in field 2 may contain blanks.
    const startedAt = status.slice(status.lastIndexOf(")") + 2).split(" ")[19];
    const boot = readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
    return `${boot}/${startedAt}`;
  } catch {
    return processStatus(pid, "lstart=");
  }
}

/** The command line that the process was started with, its words parted by blanks. */
export function commandLine(pid: number): string | undefined {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return processStatus(pid, "command=");
  }
}

/** What `ps` says, for systems without /proc. */
function processStatus(pid: number, column: string): string | undefined {
  try {
    const options: ExecFileSyncOptionsWithStringEncoding = {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    };
    return execFileSync("ps", ["-ww", "-o", column, "-p", String(pid)], options).trim();
  } catch {
    return undefined;
  }
}

/**
 * Looks every few milliseconds until the condition holds.
 * @returns whether it held before the time was over.
 */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!(await condition())) {
    if (performance.now() > deadline) return false;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return true;
}
