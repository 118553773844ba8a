import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { AlreadyRunningError, takeLock } from "../../src/embedded/lock.ts";
import { processIdentity } from "../../src/embedded/process.ts";
import { makeFolder } from "../support/folder.ts";

const folder = makeFolder();
const path = join(folder.path, "lock");
afterAll(() => folder.remove());

/** Takes the lock and lets it go; gives the process that held it. */
function holder(): unknown {
  const lock = takeLock(folder.path);
  const { pid } = JSON.parse(readFileSync(path, "utf8")) as { pid: number };
  lock.release();
  return existsSync(path) ? "still held" : pid;
}

it("is held by one, and free again when let go", () => {
  const lock = takeLock(folder.path);
  expect(() => takeLock(folder.path)).toThrow(AlreadyRunningError);
  lock.announce("http://127.0.0.1:1");
  expect(() => takeLock(folder.path)).toThrow(`process ${process.pid}, http://127.0.0.1:1`);
  lock.release();
  expect(holder()).toBe(process.pid);
});

it("of a process that has ended does not count", async () => {
  const child = spawn(process.execPath, ["-e", ""]);
  await once(child, "exit");
  writeFileSync(path, JSON.stringify({ pid: child.pid, identity: "gone" }));
  expect(holder()).toBe(process.pid);
});

it("does not count when its process id belongs to another process by now", () => {
  writeFileSync(path, JSON.stringify({ pid: process.pid, identity: "an earlier life" }));
  expect(holder()).toBe(process.pid);
});

it("counts while its process runs", async () => {
  const child = spawn(process.execPath, ["-e", "process.stdin.resume()"]);
  await once(child, "spawn");
  const identity = processIdentity(child.pid ?? 0);
  writeFileSync(path, JSON.stringify({ pid: child.pid, identity }));
  expect(() => takeLock(folder.path)).toThrow(`Tribe already runs here (process ${child.pid})`);
  child.kill("SIGKILL");
  await once(child, "exit");
  expect(holder()).toBe(process.pid);
});

it("that was half written does not count", () => {
  writeFileSync(path, '{"pi');
  expect(holder()).toBe(process.pid);
});
