/** The command line on the database itself: first set-up, and the audit log's verification. */
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { startApp } from "../support/app.ts";
import { makeFolder } from "../support/folder.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { tribe } from "../support/tribe.ts";

const secret = "0123456789abcdef0123456789abcdef";
const folder = makeFolder();
let database: TestDatabase;
let environment: Record<string, string>;
beforeAll(async () => {
  database = await createDatabase();
  environment = {
    DATABASE_URL: database.url,
    SECRET_KEY: secret,
    NODE_ENV: "production",
    TRIBE_DIR: folder.path,
  };
});
afterAll(async () => {
  await database.close();
  folder.remove();
});

describe("first set-up", () => {
  test("brings an empty database up to date, and says before that it must", async () => {
    const name = `empty_${process.pid}`;
    await database.sql(`create database ${name}`);
    const url = `${inject("postgresUrl")}/${name}`;
    const early = await tribe(["users", "create", "--admin"], {
      ...environment,
      DATABASE_URL: url,
    });
    expect(early).toMatchObject({ code: 1, stdout: "" });
    expect(early.stderr).toContain("run `tribe migrate` first");
    const first = await tribe(["migrate", "--json"], { DATABASE_URL: url });
    expect(first.code).toBe(0);
    const { migrations } = JSON.parse(first.stdout) as { migrations: string[] };
    expect(migrations[0]).toMatch(/^Migration\d{14}_schema$/);
    const second = await tribe(["migrate"], { DATABASE_URL: url });
    expect(second).toEqual({ code: 0, stdout: "", stderr: "The database is up to date.\n" });
    await database.sql(`drop database ${name} with (force)`);
  });

  test("makes an administrator whose key the service knows", async () => {
    const made = await tribe(["users", "create", "--admin", "--name", "Root"], environment);
    expect(made).toMatchObject({ code: 0, stderr: expect.stringMatching(/^Made admin /) });
    expect(made.stdout).toMatch(/^trb_live_[0-9A-Za-z]{49}\n$/);
    const key = made.stdout.trim();
    const app = await startApp({
      DATABASE_URL: database.url,
      SECRET_KEY: secret,
      ADMIN_API_KEY: undefined,
    });
    const answer = await fetch(`${app.baseUrl}/api/v1/users`, {
      headers: { authorization: `Bearer ${key}` },
    });
    expect(answer.status).toBe(200);
    // And by the command line, which now asks the service.
    const over = { TRIBE_SERVER: app.grpcAddress, TRIBE_API_KEY: key, TRIBE_DIR: folder.path };
    const revoked = await tribe(["keys", "list", "--json"], over);
    expect(JSON.parse(revoked.stdout)).toHaveLength(1);
    await app.close();
  });

  test("leaves an audit event that names the command line", async () => {
    const { stdout } = await tribe(["audit", "tail", "--json"], environment);
    const events = JSON.parse(stdout) as { action: string; facts: Record<string, string> }[];
    const made = events.find(({ action }) => action === "identity.key.create");
    expect(made).toMatchObject({ outcome: "ok", facts: { by: "command line on the database" } });
  });

  test("refuses to make keys with a secret that the service does not have", async () => {
    const result = await tribe(["users", "create", "--admin"], { ...environment, SECRET_KEY: "" });
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toContain("SECRET_KEY is not set");
  });

  test("holds fields to the contract", async () => {
    const wrong = await tribe(["users", "create", "--email", "nobody"], environment);
    expect(wrong).toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining("email") });
    await tribe(["users", "create", "--email", "ada@example.org"], environment);
    const twice = await tribe(["users", "create", "--email", "ADA@example.org"], environment);
    expect(twice).toEqual({ code: 1, stdout: "", stderr: "a user has this e-mail already\n" });
  });

  test("says that the database is not there", async () => {
    const url = "postgres://tribe:hidden@127.0.0.1:1/tribe";
    const result = await tribe(["audit", "verify"], { ...environment, DATABASE_URL: url });
    expect(result).toMatchObject({ code: 1, stdout: "" });
    expect(result.stderr).toContain("The database of DATABASE_URL does not answer: ");
    expect(result.stderr).toContain("ECONNREFUSED");
    expect(result.stderr).not.toContain("hidden");
  });
});

describe("audit verify", () => {
  async function fill() {
    await tamper("truncate audit_events, audit_links, audit_details, audit_pending");
    await tamper("delete from audit_head");
    const names = ["a", "b", "c", "d"];
    await Promise.all(names.map((name) => tribe(["users", "create", "--name", name], environment)));
  }
  /** What nobody but a superuser who disables the triggers can do. */
  async function tamper(statement: string) {
    for (const table of ["audit_events", "audit_links", "audit_head"]) {
      await database.sql(`alter table ${table} disable trigger all`);
    }
    await database.sql(statement);
    for (const table of ["audit_events", "audit_links", "audit_head"]) {
      await database.sql(`alter table ${table} enable trigger all`);
    }
  }

  test("finds a whole log whole", async () => {
    await fill();
    const result = await tribe(["audit", "verify"], environment);
    expect(result).toEqual({
      code: 0,
      stdout: "The audit log of the database of DATABASE_URL is whole: 4 events.\n",
      stderr: "",
    });
  });

  const nth = (sequence: number) =>
    `(select event_id from audit_links where sequence = ${sequence})`;
  test.each([
    [
      "edited",
      `update audit_events set outcome = 'x' where id = ${nth(2)}`,
      /at event 2: event \S+ was changed or moved/,
    ],
    [
      "removed",
      `delete from audit_events where id = ${nth(3)}`,
      /at event 3: event \S+ was removed/,
    ],
    [
      "reordered",
      `update audit_links set event_id = case sequence when 2 then ${nth(3)} else ${nth(2)} end
       where sequence in (2, 3)`,
      /at event 2: event \S+ was changed or moved/,
    ],
    ["cut off", "delete from audit_links where sequence = 4", /at event 4: event 4 was removed/],
  ])("says which event was %s, with exit code 1", async (_, statement, problem) => {
    await fill();
    await tamper("alter table audit_links drop constraint audit_links_event_unique");
    await tamper(statement);
    const result = await tribe(["audit", "verify"], environment);
    await tamper("truncate audit_links");
    await tamper(
      "alter table audit_links add constraint audit_links_event_unique unique (event_id)",
    );
    expect(result).toEqual({ code: 1, stdout: expect.stringMatching(problem), stderr: "" });
    expect(result.stdout).toContain("DAMAGED");
  });
});
