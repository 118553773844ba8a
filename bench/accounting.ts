/** What Linux says about processes and cores. */
import { readdirSync, readFileSync } from "node:fs";

/** /proc counts in ticks of 10 ms on every Linux that matters (USER_HZ). */
const microsecondsPerTick = 10_000;

/** The fields of /proc/PID/stat from the third on; the second may hold spaces. */
function statFields(pid: number | string): string[] {
  const text = readFileSync(`/proc/${pid}/stat`, "utf8");
  return text.slice(text.lastIndexOf(")") + 2).split(" ");
}

/** CPU that a process used so far, user and system, all its threads, in microseconds. */
export function cpuMicroseconds(pid: number): number {
  const fields = statFields(pid);
  return (Number(fields[11]) + Number(fields[12])) * microsecondsPerTick;
}

/** The same for a process, its children and those that have ended, as PostgreSQL's backends. */
export function familyCpuMicroseconds(pid: number): number {
  const own = statFields(pid);
  let sum = cpuMicroseconds(pid) + (Number(own[13]) + Number(own[14])) * microsecondsPerTick;
  for (const entry of readdirSync("/proc")) {
    if (!/^\d+$/.test(entry)) continue;
    try {
      if (Number(statFields(entry)[1]) === pid) sum += cpuMicroseconds(Number(entry));
    } catch {
      // It ended meanwhile.
    }
  }
  return sum;
}

/** Resident memory in megabytes (10^6 bytes). */
export function residentMegabytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return (Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) * 1024) / 1e6;
}

/** Microseconds that a core was busy since the machine started, whoever used it. */
export function coreBusyMicroseconds(core: number): number {
  const line = readFileSync("/proc/stat", "utf8").match(new RegExp(`^cpu${core} (.*)$`, "m"))?.[1];
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = (line ?? "")
    .split(" ")
    .map(Number);
  return (user + nice + system + irq + softirq + steal) * microsecondsPerTick;
}
