/** What a process tells of a bug that ends it. */
import { once } from "node:events";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { readVersion } from "../../src/version.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { startProgram } from "../support/program.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { startSentrySink } from "../support/sentry-sink.ts";

let database: TestDatabase;
let redis: TestRedis;
beforeAll(async () => {
  [database, redis] = await Promise.all([createDatabase(), startRedis()]);
});
afterAll(async () => {
  await Promise.all([database?.close(), redis?.stop()]);
});

/** A program with a bug that a signal brings to light. */
async function startBroken(bug: string, sentryDsn: string) {
  const script = `process.on("SIGUSR2", () => { ${bug} })`;
  const program = await startProgram({
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    ADMIN_API_KEY: "administrator-of-the-tests",
    METRICS_PORT: "off",
    SENTRY_DSN: sentryDsn,
    NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(script)}`,
  });
  onTestFinished(() => void program.child.kill("SIGKILL"));
  return program;
}

test.each([
  ["an uncaught exception", "throw new TypeError('a secret: hunter2')"],
  ["an unhandled rejection", "Promise.reject(new TypeError('a secret: hunter2'))"],
])(
  "%s is logged, told to Sentry without its words, and ends the process with 1",
  async (_, bug) => {
    const sink = await startSentrySink();
    onTestFinished(() => sink.close());
    const program = await startBroken(bug, sink.dsn);
    const exited = once(program.child, "exit");
    program.child.kill("SIGUSR2");
    expect(await exited).toEqual([1, null]);

    const line = program
      .output()
      .split("\n")
      .find((text) => text.includes('"level":"fatal"'));
    expect(JSON.parse(line ?? "")).toMatchObject({
      msg: "a bug of Tribe's: uncaught exception",
      err: {
        type: "TypeError",
        message: "a secret: hunter2",
        stack: expect.stringContaining("at ") as string,
      },
    });
    expect(sink.events).toHaveLength(1);
    expect(sink.events[0]).toMatchObject({
      release: `tribe@${readVersion()}`,
      tags: { where: "the process" },
      exception: { values: [{ type: "TypeError" }] },
    });
    expect(sink.raw()).not.toContain("hunter2");
  },
  60_000,
);

test("a Sentry that does not answer keeps a broken process for seconds only", async () => {
  const program = await startBroken("throw new Error('x')", "http://publickey@192.0.2.1/42");
  const exited = once(program.child, "exit");
  program.child.kill("SIGUSR2");
  expect(await exited).toEqual([1, null]);
}, 60_000);
