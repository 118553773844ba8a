/** How much work a sign-in is, seen at the function that does the work. */
import type * as nodeCrypto from "node:crypto";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { Role } from "../../gen/tribe/v1/identity_pb.js";
import { startApp, type TestApp } from "../support/app.ts";
import { clientsOf, type Clients, failureOf } from "./clients.ts";

const { work } = vi.hoisted(() => ({ work: [] as string[] }));
vi.mock("node:crypto", async (load) => {
  const crypto = await load<typeof nodeCrypto>();
  return {
    ...crypto,
    argon2(...args: Parameters<typeof crypto.argon2>) {
      const [algorithm, { message, nonce, ...parameters }] = args;
      const lengths = { message: String(message).length, nonce: (nonce as Buffer).length };
      work.push(JSON.stringify({ algorithm, ...parameters, ...lengths }));
      crypto.argon2(...args);
    },
  };
});

const password = "correct horse battery staple";
const guess = "another horse entirely, same";
const cheap = { ARGON2_MEMORY: "1024", ARGON2_PASSES: "1" };
let app: TestApp;
let administrator: Clients;
beforeAll(async () => {
  app = await startApp(cheap);
  administrator = clientsOf(app.baseUrl, app.key);
});
afterAll(() => app.close());

const signIn = (email: string, given: string, baseUrl = app.baseUrl) =>
  clientsOf(baseUrl, "").identity.signIn({ email, password: given });

test("whoever cannot sign in costs the same work, whyever they cannot", async () => {
  const { createUser, updateUser } = administrator.identity;
  await createUser({ email: "right@example.org", password, role: Role.USER });
  await createUser({ email: "keys-only@example.org", role: Role.USER });
  const { user } = await createUser({ email: "off@example.org", password, role: Role.USER });
  await updateUser({ user: { userId: user?.userId ?? "", disabled: true } });
  const costs = new Map<string, string[]>();
  for (const [email, given] of [
    ["right@example.org", guess],
    ["unknown@example.org", guess],
    ["keys-only@example.org", guess],
    ["off@example.org", guess],
    ["off@example.org", password],
  ] as const) {
    work.length = 0;
    expect(await failureOf(signIn(email, given))).toBe(
      "UNAUTHENTICATED UNAUTHENTICATED: the e-mail or the password is wrong",
    );
    costs.set(`${email} ${given}`, [...work]);
  }
  const [first] = costs.values();
  expect(first).toHaveLength(1);
  expect(first?.[0]).toContain('"memory":1024,"passes":1,"parallelism":1');
  for (const [who, cost] of costs) expect([who, cost]).toEqual([who, first]);
});

test("a hash is made anew with the work that is asked for, at the next right sign-in", async () => {
  const email = "upgrade@example.org";
  await administrator.identity.createUser({ email, password, role: Role.USER });
  const stored = async () => {
    const [row] = await app.database.sql<{ hash: string }>(
      "select password_hash as hash from users where email = ?",
      [email],
    );
    return row?.hash ?? "";
  };
  const before = await stored();
  expect(before).toMatch(/^\$argon2id\$v=19\$m=1024,t=1,p=1\$/);
  await signIn(email, password);
  expect(await stored()).toBe(before);
  const dearer = await startApp({
    ARGON2_MEMORY: "2048",
    ARGON2_PASSES: "2",
    DATABASE_URL: app.database.url,
  });
  await failureOf(signIn(email, guess, dearer.baseUrl));
  expect(await stored()).toBe(before);
  const session = await signIn(email, password, dearer.baseUrl);
  const after = await stored();
  expect(after).toMatch(/^\$argon2id\$v=19\$m=2048,t=2,p=1\$/);
  await signIn(email, password, dearer.baseUrl);
  expect(await stored()).toBe(after);
  // It is no new password: sessions go on.
  await clientsOf(dearer.baseUrl, session.accessToken).identity.getMe({});
  await dearer.close();
});
