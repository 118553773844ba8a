/** The command line over gRPC, against a running service. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type TestApp, startApp } from "../support/app.ts";
import { makeFolder } from "../support/folder.ts";
import { tribe } from "../support/tribe.ts";

let app: TestApp;
let environment: Record<string, string>;
const folder = makeFolder();
beforeAll(async () => {
  app = await startApp();
  environment = { TRIBE_SERVER: app.grpcAddress, TRIBE_API_KEY: app.key, TRIBE_DIR: folder.path };
});
afterAll(async () => {
  await app.close();
  folder.remove();
});

const callMe = (key: string) =>
  fetch(`${app.baseUrl}/api/v1/me`, { headers: { authorization: `Bearer ${key}` } });

async function json<T>(args: readonly string[], input?: string): Promise<T> {
  const { code, stdout, stderr } = await tribe([...args, "--json"], environment, input);
  expect({ code, stderr }).toMatchObject({ code: 0 });
  return JSON.parse(stdout) as T;
}

test("makes a user with a key that is shown once and works", async () => {
  const { code, stdout, stderr } = await tribe(
    ["users", "create", "--name", "Robot", "--role", "service", "--with-key"],
    environment,
  );
  expect({ code, stderr }).toEqual({
    code: 0,
    stderr: expect.stringMatching(/^Made service [0-9a-f-]{36}\.\nKey [0-9a-f-]{36}; it is shown/),
  });
  // Standard output is the key and nothing else, so that it can be piped to where secrets are kept.
  expect(stdout).toMatch(/^trb_dev_[0-9A-Za-z]{49}\n$/);
  const me = await callMe(stdout.trim());
  expect(await me.json()).toMatchObject({ user: { displayName: "Robot", role: "ROLE_SERVICE" } });
});

test("takes a password from standard input or a file, never from the command line", async () => {
  const password = "correct horse battery staple";
  const made = await json<{ user: { userId: string; email: string } }>(
    ["users", "create", "--email", "ada@example.org", "--password-file", "-"],
    `${password}\n`,
  );
  expect(made.user.email).toBe("ada@example.org");
  const file = join(folder.path, "password");
  writeFileSync(file, password);
  await json(["users", "create", "--email", "bob@example.org", "--password-file", file]);
  for (const email of ["ada@example.org", "bob@example.org"]) {
    const answer = await fetch(`${app.baseUrl}/api/v1/auth:signIn`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ email, password }),
    });
    expect(answer.status).toBe(200);
  }
  const refused = await tribe(["users", "create", "--password", password], environment);
  expect(refused).toMatchObject({ code: 2, stdout: "" });
  expect(refused.stderr).toContain("Unknown option '--password'");
});

test("lists and changes users", async () => {
  const { user } = await json<{ user: { userId: string } }>(["users", "create", "--name", "Eve"]);
  const list = await tribe(["users", "list", "--limit", "1"], environment);
  expect(list.code).toBe(0);
  expect(list.stdout).toMatch(new RegExp(`^ID .*ROLE.*\n${user.userId}  user  active `));
  expect(list.stderr).toBe("There are more: raise --limit above 1.\n");
  const all = await json<{ userId: string }[]>(["users", "list"]);
  expect(all.map(({ userId }) => userId)).toContain(user.userId);
  const changed = await json(["users", "update", user.userId, "--disable", "--role", "viewer"]);
  expect(changed).toMatchObject({ userId: user.userId, role: "ROLE_VIEWER", disabled: true });
});

test("exports and erases a user", async () => {
  const { user } = await json<{ user: { userId: string } }>(["users", "create", "--name", "Max"]);
  const { stdout } = await tribe(["users", "export", user.userId], environment);
  const records = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as object);
  expect(records[0]).toMatchObject({ record: "user", display_name: "Max" });
  const timid = await tribe(["users", "delete", user.userId], environment);
  expect(timid).toMatchObject({ code: 2, stderr: expect.stringContaining("add --yes") });
  expect(await json(["users", "delete", user.userId, "--yes"])).toMatchObject({ erased: true });
  const again = await tribe(["users", "export", user.userId], environment);
  expect(again).toMatchObject({ code: 1, stdout: "" });
  expect(again.stderr).toContain("does not exist");
});

test("never lets a name write to the operator's terminal", async () => {
  await json(["users", "create", "--name", "\u001b[31mred\u001b]0;title\u0007"]);
  const { stdout } = await tribe(["users", "list"], environment);
  expect(stdout).toContain("red");
  // oxlint-disable-next-line no-control-regex -- that is what must not be there
  expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f]/);
});

test("makes, lists, rotates and revokes keys", async () => {
  const made = await json<{ apiKey: { apiKeyId: string }; key: string }>([
    "keys",
    "create",
    "--name",
    "nightly job",
    "--scope",
    "me:read",
    "--scope",
    "chat:read",
    "--expires",
    "90d",
    "--requests-per-minute",
    "5",
  ]);
  expect(made.apiKey).toMatchObject({
    name: "nightly job",
    scopes: ["me:read", "chat:read"],
    limits: { requestsPerMinute: 5 },
  });
  const { apiKeyId } = made.apiKey;
  expect((await callMe(made.key)).status).toBe(200);

  const rotated = await json<typeof made>(["keys", "rotate", apiKeyId, "--overlap", "1h"]);
  expect((await callMe(made.key)).status).toBe(200);
  expect((await callMe(rotated.key)).status).toBe(200);

  const revoked = await tribe(["keys", "revoke", apiKeyId], environment);
  expect(revoked).toEqual({ code: 0, stdout: "", stderr: `Key ${apiKeyId} is revoked.\n` });
  expect((await callMe(made.key)).status).toBe(401);
  expect((await callMe(rotated.key)).status).toBe(200);

  const list = await tribe(["keys", "list"], environment);
  const row = list.stdout.split("\n").find((line) => line.startsWith(apiKeyId));
  expect(row).toMatch(/ trb_dev_\w{4}…  revoked .* me:read,chat:read  nightly job$/);
  expect(list.stdout).not.toContain(made.key);
});

test("shows and changes settings", async () => {
  const value = { viewer: ["me:read"] };
  const set = await json(["settings", "set", `rolePermissions=${JSON.stringify(value)}`]);
  expect(set).toEqual({ rolePermissions: value });
  const { stdout } = await tribe(["settings", "get", "rolePermissions"], environment);
  expect(stdout).toBe(`rolePermissions=${JSON.stringify(value)}\n`);
  const unset = await tribe(["settings", "set", "rolePermissions=null"], environment);
  expect(unset).toMatchObject({ code: 0, stdout: "rolePermissions=(default)\n" });
  const wrong = await tribe(["settings", "set", 'rolePermissions={"king":[]}'], environment);
  expect(wrong.code).toBe(1);
  expect(wrong.stderr).toContain("settings.values.rolePermissions");
});

test("shows the last audit events, the newest at the end", async () => {
  await json(["users", "create", "--name", "Mallory"]);
  const events = await json<{ sequence: string; action: string; facts: object }[]>([
    "audit",
    "tail",
    "--lines",
    "5",
    "--action",
    "identity.user.create",
  ]);
  const sequences = events.map(({ sequence }) => Number(sequence));
  expect(sequences).toEqual(sequences.toSorted((a, b) => a - b));
  expect(new Set(events.map(({ action }) => action))).toEqual(new Set(["identity.user.create"]));
  const { stdout } = await tribe(["audit", "tail", "-n", "3"], environment);
  expect(stdout.split("\n")).toHaveLength(5);
});

describe("says what to do when", () => {
  test.each([
    [
      "there is no key",
      ["users", "list"],
      () => ({ TRIBE_API_KEY: "" }),
      1,
      /set TRIBE_API_KEY.*tribe users create --admin/s,
    ],
    [
      "the key is wrong",
      ["users", "list"],
      () => ({ TRIBE_API_KEY: "nobody's" }),
      1,
      /does not accept the API key: .*See TRIBE_API_KEY/,
    ],
    [
      "nobody listens",
      ["audit", "verify"],
      () => ({ TRIBE_SERVER: "127.0.0.1:1" }),
      1,
      /does not answer: .*Is it running/,
    ],
    [
      "the server is no address",
      ["audit", "verify"],
      () => ({ TRIBE_SERVER: "a b" }),
      2,
      /host:port/,
    ],
    ["a field is wrong", ["users", "create", "--email", "x"], () => ({}), 1, /email/],
    [
      "a permission is none",
      ["keys", "create", "--scope", "x"],
      () => ({}),
      1,
      /there are audit:read/,
    ],
    ["an id is none", ["keys", "revoke", "x"], () => ({}), 2, /"x" is no key's id/],
    ["an argument is missing", ["keys", "rotate"], () => ({}), 2, /keys rotate needs ID/],
    ["there is one too many", ["users", "list", "x"], () => ({}), 2, /does not take "x"/],
    ["an option is unknown", ["users", "list", "--x"], () => ({}), 2, /Unknown option '--x'/],
    ["a number is none", ["users", "list", "--limit", "0"], () => ({}), 2, /whole number from 1/],
    ["a time is none", ["keys", "create", "--expires", "soon"], () => ({}), 2, /such as 90d/],
    ["a role is none", ["users", "create", "--role", "king"], () => ({}), 2, /there are viewer/],
    ["a setting is none", ["settings", "get", "x"], () => ({}), 2, /there are .*rolePermissions/],
    ["a value is not JSON", ["settings", "set", "a=b c"], () => ({}), 2, /is not JSON/],
    [
      "a command is unknown",
      ["frobnicate"],
      () => ({}),
      2,
      /no command "frobnicate"; see tribe help/,
    ],
    ["half a command is known", ["keys", "x"], () => ({}), 2, /there are keys create, keys list/],
  ])("%s", async (_, args, changes, code, message) => {
    const result = await tribe(args, { ...environment, ...changes() });
    expect(result).toEqual({ code, stdout: "", stderr: expect.stringMatching(message) });
    expect(result.stderr).not.toContain("    at ");
  });
});

test("reads the key from a file, and the embedded default's without being told", async () => {
  writeFileSync(join(folder.path, "admin-key"), `${app.key}\n`);
  const server = ["--server", app.grpcAddress];
  const kept = await tribe(["users", "list", ...server], { TRIBE_DIR: folder.path });
  expect(kept).toMatchObject({ code: 0, stderr: "" });
  const file = join(folder.path, "key");
  writeFileSync(file, app.key);
  for (const [args, extra] of [
    [["--key-file", file], {}],
    [[], { TRIBE_API_KEY_FILE: file }],
  ] as const) {
    const result = await tribe(["users", "list", ...server, ...args], {
      TRIBE_DIR: "/nowhere",
      ...extra,
    });
    expect(result).toMatchObject({ code: 0, stderr: "" });
  }
});

test("explains itself", async () => {
  const bare = await tribe([]);
  expect(bare.code).toBe(2);
  const help = await tribe(["help"]);
  expect(help).toEqual({ code: 0, stdout: bare.stderr, stderr: "" });
  for (const name of [
    "users create",
    "keys rotate ID",
    "audit verify",
    "migrate",
    "settings set",
  ]) {
    expect(help.stdout).toContain(`  ${name}`);
  }
  const one = await tribe(["help", "keys", "create"]);
  expect(one).toEqual(await tribe(["keys", "create", "--help"]));
  expect(one.stdout).toContain("--scope PERMISSION");
  const version = await tribe(["--version"]);
  expect(version.stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});
