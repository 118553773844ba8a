import { writeFileSync } from "node:fs";
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
