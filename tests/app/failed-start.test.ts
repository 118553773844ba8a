/** A start that fails says why and ends, whatever it had opened by then. */
import { expect, onTestFinished, test } from "vitest";
import { createDatabase } from "../support/postgres.ts";
import { startRedis } from "../support/redis.ts";
import { makeFolder } from "../support/folder.ts";
import { tribe } from "../support/tribe.ts";

test("a default model that nobody serves ends the process with 1", async () => {
  const [database, redis] = await Promise.all([createDatabase(), startRedis()]);
  onTestFinished(async () => {
    await Promise.all([database.close(), redis.stop()]);
  });
  const { code, stderr } = await tribe(["start"], {
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    ADMIN_API_KEY: "administrator-of-the-tests",
    SECRET_KEY: "a secret of the tests that is long enough",
    OPENAI_API_KEY: "sk-test",
    DEFAULT_MODEL: "claude-next",
    METRICS_PORT: "off",
  });
  expect(stderr).toBe(
    "the default model claude-next has no configured provider (configured: openai): " +
      "give its provider a key, or set DEFAULT_MODEL to another model\n",
  );
  expect(code).toBe(1);
}, 60_000);

test("and so it does with servers of its own", async () => {
  const folder = makeFolder();
  onTestFinished(() => folder.remove());
  const { code, stderr } = await tribe(["start"], {
    TRIBE_DIR: `${folder.path}/.tribe`,
    DEFAULT_MODEL: "claude-next",
    METRICS_PORT: "off",
  });
  expect(stderr).toContain("the default model claude-next has no configured provider");
  expect(code).toBe(1);
}, 60_000);
