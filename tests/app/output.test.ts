/** What a process writes where its output is a log. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { until } from "../support/eventually.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

let database: TestDatabase;
let redis: TestRedis;
beforeAll(async () => {
  [database, redis] = await Promise.all([createDatabase(), startRedis()]);
});
afterAll(async () => {
  await Promise.all([database?.close(), redis?.stop()]);
});

test("a process that listens on every address names its ports, and no address that it cannot know", async () => {
  const child = spawn(process.execPath, [join(import.meta.dirname, "../../src/main.ts")], {
    env: {
      PATH: process.env["PATH"],
      HOST: "0.0.0.0",
      HTTP_PORT: "0",
      GRPC_PORT: "0",
      METRICS_PORT: "0",
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      ADMIN_API_KEY: "administrator-of-the-tests",
      SECRET_KEY: "a secret of the tests that is long enough",
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.on("data", (chunk) => (output += String(chunk)));
  const exited = once(child, "exit");
  await until(() => output.includes("Tribe is ready") || child.exitCode !== null);
  child.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);

  const lines = output.trimEnd().split("\n");
  expect(lines.filter((line) => !line.startsWith('{"level":'))).toEqual([]);
  const messages = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
  const port = expect.any(Number) as number;
  expect(messages).toContainEqual(
    expect.objectContaining({
      msg: "Tribe is ready",
      httpPort: port,
      grpcPort: port,
      metricsPort: port,
    }),
  );
  expect(messages).toContainEqual(
    expect.objectContaining({ msg: "stopping: letting running turns finish" }),
  );
}, 60_000);
