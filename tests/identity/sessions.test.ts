import { decodeJwt, decodeProtectedHeader } from "jose";
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import { Role } from "../../gen/tribe/v1/identity_pb.js";
import { guardRules, waitAfter } from "../../src/identity/sign-in-guard.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { startProgram, type TestProgram } from "../support/program.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { clientsOf, type Clients, failureOf } from "./clients.ts";

let redis: TestRedis;
let app: TestApp;
let other: TestProgram;
let administrator: Clients;
beforeAll(async () => {
  redis = await startRedis();
  // Cheap hashes: what they cost is tested with the hashes.
  const work = { ARGON2_MEMORY: "1024", ARGON2_PASSES: "1" };
  app = await startApp({ REDIS_URL: redis.url, ...work });
  administrator = clientsOf(app.baseUrl, app.key);
  other = await startProgram({
    DATABASE_URL: app.database.url,
    REDIS_URL: redis.url,
    ADMIN_API_KEY: app.key,
    ...work,
  });
});
afterAll(async () => {
  await other.close();
  await app.close();
  await redis.stop();
});

const password = "correct horse battery staple";
let email: string;
let userId: string;
beforeEach(async () => {
  email = `Ada.${crypto.randomUUID()}@example.org`;
  const { user } = await administrator.identity.createUser({ email, password, role: Role.USER });
  userId = user?.userId ?? "";
});

const stranger = () => clientsOf(app.baseUrl, "").identity;
const as = (token: string) => clientsOf(app.baseUrl, token).identity;
const signIn = () => stranger().signIn({ email, password });

describe("tokens", () => {
  test("are given for the password, whatever the case of the e-mail", async () => {
    const { accessToken, refreshToken, user } = await stranger().signIn({
      email: email.toUpperCase(),
      password,
    });
    expect(user).toMatchObject({ userId, email, role: Role.USER });
    expect(decodeProtectedHeader(accessToken)).toMatchObject({ alg: "EdDSA", typ: "at+jwt" });
    expect(decodeJwt(accessToken)).toMatchObject({ sub: userId, iss: "tribe", aud: "tribe" });
    expect(refreshToken).toMatch(/^trr_[0-9A-Za-z]{49}$/);
    expect((await as(accessToken).getMe({})).user?.userId).toBe(userId);
    expect((await clientsOf(other.baseUrl, accessToken).identity.getMe({})).user?.userId).toBe(
      userId,
    );
    const stored = await app.database.sql("select * from refresh_tokens");
    expect(JSON.stringify(stored)).not.toContain(refreshToken);
  });

  test("are refused for a wrong password as for an unknown e-mail", async () => {
    const wrong = await failureOf(stranger().signIn({ email, password: "wrong" }));
    const unknown = await failureOf(stranger().signIn({ email: `no.${email}`, password }));
    expect(wrong).toBe("UNAUTHENTICATED UNAUTHENTICATED: the e-mail or the password is wrong");
    expect(unknown).toBe(wrong);
    const { auditEvents } = await administrator.admin.listAuditEvents({
      action: "identity.session.sign_in",
    });
    expect(auditEvents[0]).toMatchObject({
      outcome: "WRONG_CREDENTIALS",
      resource: "",
      userId: "",
    });
    expect(auditEvents[1]).toMatchObject({
      outcome: "WRONG_CREDENTIALS",
      resource: `user/${userId}`,
    });
    const events = JSON.stringify(
      await app.database.sql("select * from audit_events, audit_details"),
    );
    expect(events.toLowerCase()).not.toContain(email.toLowerCase());
  });

  test("are exchanged, and a refresh token that is used twice ends the session everywhere", async () => {
    const first = await signIn();
    const second = await stranger().refreshToken({ refreshToken: first.refreshToken });
    expect(second.refreshToken).not.toBe(first.refreshToken);
    const there = clientsOf(other.baseUrl, second.accessToken).identity;
    await Promise.all([as(first.accessToken).getMe({}), there.getMe({})]);
    const { refreshToken } = first;
    expect(await failureOf(stranger().refreshToken({ refreshToken }))).toMatch(
      /^UNAUTHENTICATED .*used before/,
    );
    expect(await failureOf(as(second.accessToken).getMe({}))).toMatch(/session was ended/);
    await vi.waitFor(async () =>
      expect(await failureOf(there.getMe({}))).toMatch(/session was ended/),
    );
    expect(await failureOf(stranger().refreshToken({ refreshToken: second.refreshToken }))).toMatch(
      /^UNAUTHENTICATED .*session was ended/,
    );
    const { auditEvents } = await administrator.admin.listAuditEvents({
      action: "identity.session.refresh",
      userId,
    });
    expect(auditEvents.map(({ outcome }) => outcome)).toContain("REFRESH_TOKEN_REUSED");
  });

  test("are exchanged once when two come with the same at once", async () => {
    const { refreshToken } = await signIn();
    const results = await Promise.allSettled([
      stranger().refreshToken({ refreshToken }),
      clientsOf(other.baseUrl, "").identity.refreshToken({ refreshToken }),
    ]);
    expect(results.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
  });

  test("end with signing out, here or everywhere", async () => {
    const [one, two, three] = [await signIn(), await signIn(), await signIn()];
    const there = (token: string) => clientsOf(other.baseUrl, token).identity;
    await Promise.all([one, two, three].map(({ accessToken }) => there(accessToken).getMe({})));
    await as(one.accessToken).signOut({});
    expect(await failureOf(as(one.accessToken).getMe({}))).toMatch(/session was ended/);
    await as(two.accessToken).getMe({});
    await as(two.accessToken).signOut({ everywhere: true });
    for (const { accessToken } of [one, two, three]) {
      await vi.waitFor(async () =>
        expect(await failureOf(there(accessToken).getMe({}))).toMatch(
          /^UNAUTHENTICATED .*session was ended/,
        ),
      );
    }
    expect(await failureOf(administrator.identity.signOut({}))).toMatch(
      /^FAILED_PRECONDITION NO_SESSION/,
    );
  });

  test("end when the user is disabled, and no new ones are given", async () => {
    const { accessToken, refreshToken } = await signIn();
    await administrator.identity.updateUser({ user: { userId, disabled: true } });
    expect(await failureOf(as(accessToken).getMe({}))).toMatch(/^UNAUTHENTICATED/);
    expect(await failureOf(stranger().refreshToken({ refreshToken }))).toMatch(/^UNAUTHENTICATED/);
    expect(await failureOf(signIn())).toMatch(/^UNAUTHENTICATED .*e-mail or the password/);
  });
});

describe("guessers", () => {
  /** However they come: the free attempts, and one more after each wait that was sat through. */
  function mostGuessesIn(seconds: number): number {
    let attempts: number = guardRules.pair.free;
    for (let waited = 0; ; attempts += 1) {
      waited += waitAfter(guardRules.pair, attempts);
      if (waited > seconds) return attempts;
    }
  }

  test("are slowed down and then locked out, and the right password does not help them", async () => {
    const outcomes: string[] = [];
    for (let count = 0; count < 8; count += 1) {
      outcomes.push(await failureOf(stranger().signIn({ email, password: `guess ${count}` })));
    }
    expect(outcomes[0]).toMatch(/^UNAUTHENTICATED/);
    expect(outcomes.at(-1)).toMatch(/^RESOURCE_EXHAUSTED SIGN_IN_LOCKED/);
    expect(await failureOf(signIn())).toMatch(/SIGN_IN_LOCKED/);
    const elsewhere = clientsOf(other.baseUrl, "").identity;
    expect(await failureOf(elsewhere.signIn({ email, password }))).toMatch(/SIGN_IN_LOCKED/);
  });

  test("cannot get more guesses by guessing all at once", async () => {
    const begin = performance.now();
    const guesses = Array.from({ length: 30 }, (_, count) =>
      failureOf(stranger().signIn({ email, password: `guess ${count}` })),
    );
    const outcomes = await Promise.all(guesses);
    const seconds = (performance.now() - begin) / 1000;
    const tried = outcomes.filter((outcome) => outcome.startsWith("UNAUTHENTICATED"));
    expect(tried.length).toBeLessThanOrEqual(mostGuessesIn(seconds));
  });

  test("learn nothing about others: an unknown e-mail is locked the same way", async () => {
    const unknown = `no.${email}`;
    for (let count = 0; count < 8; count += 1) {
      await failureOf(stranger().signIn({ email: unknown, password: `guess ${count}` }));
    }
    expect(await failureOf(stranger().signIn({ email: unknown, password }))).toMatch(
      /SIGN_IN_LOCKED/,
    );
    await signIn();
  });
});
