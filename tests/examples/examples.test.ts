import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { startApp, type TestApp } from "../support/app.ts";

let app: TestApp;
beforeAll(async () => {
  app = await startApp();
});
afterAll(() => app.close());

function run(example: string, environment: Record<string, string>) {
  const path = join(import.meta.dirname, "../../examples", example);
  return promisify(execFile)(process.execPath, [path], {
    env: { PATH: process.env["PATH"], ...environment },
  });
}

describe.each(["connect-client.ts", "grpc-js-client.ts"])("%s", (example) => {
  const addresses = () => ({ TRIBE_URL: app.baseUrl, TRIBE_GRPC_ADDRESS: app.grpcAddress });

  it("holds a conversation that is stored", async () => {
    const { stdout } = await run(example, { ...addresses(), TRIBE_API_KEY: app.key });
    const [, id] = /^demo answered in conversation ([0-9a-f-]{36})\n/.exec(stdout) ?? [];
    expect(stdout).toMatch(/\nfor (\d+|\?) millionths of a dollar\n4 messages are stored\n$/);
    expect(
      await app.database.sql(
        "select role, count(*)::int as count from messages where conversation_id = ? group by role order by role",
        [id],
      ),
    ).toEqual([
      { role: "assistant", count: 2 },
      { role: "user", count: 2 },
    ]);
  });

  it("says what is wrong with its key", async () => {
    const failure = await run(example, { ...addresses(), TRIBE_API_KEY: "wrong" }).catch(
      (error: unknown) => error,
    );
    expect(failure).toMatchObject({
      code: 1,
      stdout: expect.stringMatching(/^unauthenticated: .*credential/i),
    });
  });
});
