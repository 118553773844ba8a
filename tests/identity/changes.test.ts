/** What is changed in one process holds in the other, also while Redis hangs or is away. */
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Role } from "../../gen/tribe/v1/identity_pb.js";
import { startApp, type TestApp } from "../support/app.ts";
import { startProgram, type TestProgram } from "../support/program.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { clientsOf, type Clients, createUserWithKey, failureOf } from "./clients.ts";

const password = "correct horse battery staple";
let redis: TestRedis;
let app: TestApp;
let other: TestProgram;
let administrator: Clients;
beforeAll(async () => {
  redis = await startRedis();
  const environment = { REDIS_URL: redis.url, ARGON2_MEMORY: "1024", ARGON2_PASSES: "1" };
  app = await startApp(environment);
  administrator = clientsOf(app.baseUrl, app.key);
  other = await startProgram({
    ...environment,
    DATABASE_URL: app.database.url,
    ADMIN_API_KEY: app.key,
  });
});
afterAll(async () => {
  redis.kill("SIGCONT");
  await other.close();
  await app.close();
  await redis.stop();
});

/** A change made here, and what then fails there, which knew the credential before. */
interface Change {
  credential: string;
  make(): Promise<unknown>;
  failure: RegExp;
}

async function withKey(make: (owner: Owner) => Promise<unknown>, failure: RegExp) {
  const owner = await createUserWithKey(administrator, app.baseUrl);
  return { credential: owner.key, make: () => make(owner), failure };
}
type Owner = Awaited<ReturnType<typeof createUserWithKey>>;

async function withSession(
  make: (person: Clients, userId: string) => Promise<unknown>,
  failure: RegExp,
): Promise<Change> {
  const email = `${crypto.randomUUID()}@example.org`;
  const { user } = await administrator.identity.createUser({ email, password, role: Role.USER });
  const { accessToken } = await clientsOf(app.baseUrl, "").identity.signIn({ email, password });
  const person = clientsOf(app.baseUrl, accessToken);
  return {
    credential: accessToken,
    make: () => make(person, user?.userId ?? ""),
    failure,
  };
}

const changes: [string, () => Promise<Change>][] = [
  [
    "a revoked key",
    () => withKey(({ identity, apiKeyId }) => identity.revokeApiKey({ apiKeyId }), /was revoked/),
  ],
  [
    "a rotated key without overlap",
    () =>
      withKey(
        ({ identity, apiKeyId }) =>
          identity.rotateApiKey({ apiKeyId, overlap: { seconds: 0n, nanos: 0 } }),
        /has expired/,
      ),
  ],
  [
    "another role",
    () =>
      withKey(
        ({ userId }) => administrator.identity.updateUser({ user: { userId, role: Role.VIEWER } }),
        /needs conversations:write/,
      ),
  ],
  [
    "a disabled user",
    () =>
      withKey(
        ({ userId }) => administrator.identity.updateUser({ user: { userId, disabled: true } }),
        /is disabled/,
      ),
  ],
  [
    "an erased user",
    () => withKey(({ userId }) => administrator.identity.deleteUser({ userId }), /UNAUTHENTICATED/),
  ],
  [
    "signing out everywhere",
    () => withSession(({ identity }) => identity.signOut({ everywhere: true }), /was ended/),
  ],
  [
    "a new password",
    () =>
      withSession(
        (_, userId) =>
          administrator.identity.setPassword({ userId, newPassword: `${password} now` }),
        /was ended/,
      ),
  ],
  [
    "a setting",
    () =>
      withKey(
        () =>
          administrator.admin.updateSettings({
            settings: { values: { rolePermissions: { user: ["me:read"] } } },
          }),
        /needs conversations:write/,
      ),
  ],
];

/** Makes the change here and gives the milliseconds until it holds there. */
async function delayOf({ credential, make, failure }: Change): Promise<number> {
  const there = clientsOf(other.baseUrl, credential).conversations;
  await there.createConversation({});
  await make();
  const begin = performance.now();
  await vi.waitFor(
    async () => expect(await failureOf(there.createConversation({}))).toMatch(failure),
    { timeout: 15_000, interval: 20 },
  );
  return performance.now() - begin;
}
async function resetRoles() {
  await administrator.admin.updateSettings({
    settings: { values: {} },
    updateMask: { paths: ["values.rolePermissions"] },
  });
  const { key } = await createUserWithKey(administrator, app.baseUrl);
  const there = clientsOf(other.baseUrl, key).conversations;
  await vi.waitFor(() => there.createConversation({}), { timeout: 15_000 });
}

describe("through Redis", () => {
  test.each(changes)("%s holds everywhere in less than a second", async (_, begin) => {
    expect(await delayOf(await begin())).toBeLessThan(1000);
    await resetRoles();
  });
});

describe("while Redis hangs", () => {
  beforeAll(() => redis.kill("SIGSTOP"));
  test.each(changes.filter(([name]) => name !== "an erased user"))(
    "%s holds everywhere in less than three seconds",
    async (_, begin) => {
      expect(await delayOf(await begin())).toBeLessThan(3000);
      await resetRoles();
    },
  );
  test("nobody is erased whose traces in Redis cannot be removed", async () => {
    const { userId, key } = await createUserWithKey(administrator, app.baseUrl);
    expect(await failureOf(administrator.identity.deleteUser({ userId }))).toMatch(
      /^UNAVAILABLE REDIS_UNAVAILABLE/,
    );
    // But nothing of theirs is accepted any more, and the erasing can be done again.
    expect(await failureOf(clientsOf(app.baseUrl, key).identity.getMe({}))).toMatch(/is disabled/);
    redis.kill("SIGCONT");
    await vi.waitFor(() => administrator.identity.deleteUser({ userId }), { timeout: 15_000 });
  });
});
