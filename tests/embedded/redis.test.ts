import { writeFileSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { startEmbeddedRedis } from "../../src/embedded/redis.ts";
import { makeFolder } from "../support/folder.ts";

const folder = makeFolder();
const path = process.env["PATH"];
afterEach(() => {
  process.env["PATH"] = path;
  folder.remove();
});

it("is gone on without when there is none, or only one that is too old", async () => {
  const progress: string[] = [];
  const start = () =>
    startEmbeddedRedis({
      directory: join(folder.path, ".tribe"),
      onProgress: (message) => progress.push(message),
    });
  process.env["PATH"] = folder.path;
  expect(await start()).toBeUndefined();
  writeFileSync(
    join(folder.path, "redis-server"),
    "#!/bin/sh\necho 'Redis server v=5.0.14 sha=0 malloc=libc bits=64'\n",
    { mode: 0o755 },
  );
  expect(await start()).toBeUndefined();
  expect(progress).toEqual([
    "No redis-server on the PATH (6.2 or newer is used if there is one): going on without",
    "Only Redis 5.0.14 on the PATH (6.2 or newer is used if there is one): going on without",
  ]);
});

it("is started again when it ends, with what it had, until it is stopped", async () => {
  const started = await startEmbeddedRedis({ directory: join(folder.path, ".tribe") });
  const address = started?.address as { path: string };
  const pid = async () => /process_id:(\d+)/.exec(await ask(address.path, "INFO server"))?.[1];
  expect(await ask(address.path, "SET kept yes")).toContain("OK");
  const first = await pid();
  process.kill(Number(first), "SIGKILL");
  await expect.poll(pid, { timeout: 20_000 }).toMatch(/^\d+$/);
  await expect.poll(() => ask(address.path, "GET kept"), { timeout: 20_000 }).toContain("yes");
  expect(await pid()).not.toBe(first);
  await started?.stop();
  expect(await ask(address.path, "PING")).toBe("");
});

/** What Redis says; nothing when it is not there. */
function ask(socketPath: string, command: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = "";
    const socket = connect(socketPath, () => socket.end(`${command}\r\nQUIT\r\n`));
    socket.on("data", (chunk) => (answer += String(chunk)));
    socket.on("error", () => {});
    socket.on("close", () => resolve(answer));
  });
}
