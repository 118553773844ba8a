import { createHmac, createPrivateKey, generateKeyPairSync, randomUUID } from "node:crypto";
import {
  base64url,
  decodeJwt,
  decodeProtectedHeader,
  exportSPKI,
  importJWK,
  type JWK,
  SignJWT,
} from "jose";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { Role } from "../../gen/tribe/v1/identity_pb.js";
import { startApp, type TestApp } from "../support/app.ts";
import { clientsOf, type Clients, failureOf } from "./clients.ts";
import { type Issuer, startIssuer } from "./issuer.ts";

const work = { ARGON2_MEMORY: "1024", ARGON2_PASSES: "1" };
const password = "correct horse battery staple";

/** An app and a token of a user of it. */
async function start(environment: Record<string, string>) {
  const app = await startApp({ ...work, ...environment });
  const administrator = clientsOf(app.baseUrl, app.key);
  const email = "ada@example.org";
  await administrator.identity.createUser({ email, password, role: Role.USER });
  const signedIn = await clientsOf(app.baseUrl, "").identity.signIn({ email, password });
  const getMe = (token: string) => clientsOf(app.baseUrl, token).identity.getMe({});
  return { app, administrator, token: signedIn.accessToken, getMe };
}

/** A token with another header and payload, signed by `sign` or as it was. */
function forge(
  token: string,
  header: object,
  payload: object,
  sign?: (input: string) => Buffer | string,
) {
  const head = base64url.encode(JSON.stringify({ ...decodeProtectedHeader(token), ...header }));
  const body = base64url.encode(JSON.stringify({ ...decodeJwt(token), ...payload }));
  const signature = sign?.(`${head}.${body}`) ?? token.split(".")[2] ?? "";
  return `${head}.${body}.${typeof signature === "string" ? signature : base64url.encode(signature)}`;
}

describe("our own tokens", () => {
  let app: TestApp;
  let token: string;
  let getMe: Awaited<ReturnType<typeof start>>["getMe"];
  let jwks: { keys: JWK[] };
  beforeAll(async () => {
    ({ app, token, getMe } = await start({}));
    const response = await fetch(`${app.baseUrl}/.well-known/jwks.json`);
    jwks = (await response.json()) as { keys: JWK[] };
  });
  afterAll(() => app.close());

  test("are signed with a key of the JWKS, which shows nothing private", () => {
    const { kid } = decodeProtectedHeader(token);
    expect(jwks.keys).toEqual([
      { kty: "OKP", crv: "Ed25519", x: expect.any(String), kid, alg: "EdDSA", use: "sig" },
    ]);
  });

  test("are taken as they are", async () => {
    expect((await getMe(token)).user?.email).toBe("ada@example.org");
    // And once more, from memory.
    expect((await getMe(token)).user?.email).toBe("ada@example.org");
  });

  test.each<[string, () => Promise<string> | string, RegExp]>([
    ["alg none", () => forge(token, { alg: "none" }, {}, () => ""), /is not valid/],
    ["alg none with the signature", () => forge(token, { alg: "none" }, {}), /is not valid/],
    ["alg None", () => forge(token, { alg: "nOnE" }, {}, () => ""), /is not valid/],
    [
      "the public key as a secret",
      async () => {
        const key = await importJWK(jwks.keys[0] ?? {}, "EdDSA", { extractable: true });
        const pem = await exportSPKI(key as Parameters<typeof exportSPKI>[0]);
        return forge(token, { alg: "HS256" }, {}, (input) =>
          createHmac("sha256", pem).update(input).digest(),
        );
      },
      /is not valid/,
    ],
    [
      "the public key's x as a secret",
      () =>
        forge(token, { alg: "HS256" }, {}, (input) =>
          createHmac("sha256", Buffer.from(jwks.keys[0]?.x ?? "", "base64url"))
            .update(input)
            .digest(),
        ),
      /is not valid/,
    ],
    ["another payload", () => forge(token, {}, { sub: randomUUID() }), /is not valid/],
    ["another signature", () => `${token.slice(0, -6)}AAAAAA`, /is not valid/],
    ["no signature", () => token.slice(0, token.lastIndexOf(".") + 1), /is not valid/],
    ["an unknown kid", () => forge(token, { kid: "nobody's" }, {}), /is not valid/],
    ["a kid that is a path", () => forge(token, { kid: "../../dev/null" }, {}), /is not valid/],
    ["a kid with SQL", () => forge(token, { kid: "' or '1'='1" }, {}), /is not valid/],
    [
      "an embedded key",
      () => forge(token, { jwk: jwks.keys[0], kid: undefined }, {}),
      /is not valid/,
    ],
    [
      "an unknown critical header",
      () => forge(token, { crit: ["b64"], b64: false }, {}),
      /is not valid/,
    ],
    ["two parts", () => token.split(".").slice(0, 2).join("."), /is not valid/],
    ["five parts", () => `${token}.a.b`, /is not valid/],
    ["no JSON", () => "eyJub3RoaW5n.eyJub3RoaW5n.AAAA", /is not valid/],
    [
      "an array for claims",
      () => `${token.split(".")[0]}.${base64url.encode("[]")}.AAAA`,
      /is not valid/,
    ],
    [
      "nested deeply",
      () => `ey${"[".repeat(4000)}.${base64url.encode("[".repeat(2000))}.AAAA`,
      /is not valid/,
    ],
    [
      "another issuer",
      () => forge(token, {}, { iss: "https://issuer.example" }),
      /issuer is not one/,
    ],
    ["no issuer", () => forge(token, {}, { iss: undefined }), /issuer is not one/],
    ["oversized", () => forge(token, {}, { more: "x".repeat(9000) }), /longer than 8192/],
  ])("are refused with %s", async (_, make, message) => {
    const failure = await failureOf(getMe(await make()));
    expect(failure).toMatch(/^UNAUTHENTICATED UNAUTHENTICATED: /);
    expect(failure).toMatch(message);
    expect((await getMe(token)).user?.email).toBe("ada@example.org");
  });

  test("leave no trace in the log", () => {
    expect(JSON.stringify(app.log)).not.toContain(token.split(".")[2]);
  });

  test("of another Tribe are not taken, although it calls itself the same", async () => {
    const other = await start({});
    expect(await failureOf(getMe(other.token))).toMatch(/^UNAUTHENTICATED .*is not valid/);
    await other.app.close();
  });
});

describe("claims of our own tokens", () => {
  const { privateKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ format: "pem", type: "pkcs8" }).toString();
  let app: TestApp;
  let token: string;
  let getMe: Awaited<ReturnType<typeof start>>["getMe"];
  beforeAll(async () => {
    ({ app, token, getMe } = await start({ JWT_PRIVATE_KEY: pem }));
  });
  afterAll(() => app.close());

  /** Signed with the right key, and right but for these claims. */
  function sign(claims: object, header: object = {}) {
    return new SignJWT({ ...decodeJwt(token), ...claims })
      .setProtectedHeader({ ...decodeProtectedHeader(token), alg: "EdDSA", ...header })
      .sign(createPrivateKey(pem));
  }
  const now = Math.floor(Date.now() / 1000);
  test.each<[string, object, object, RegExp]>([
    ["expired", { exp: now - 1 }, {}, /has expired/],
    ["without end", { exp: undefined }, {}, /exp is wrong/],
    ["an end that is no number", { exp: "tomorrow" }, {}, /exp is wrong/],
    ["not valid yet", { nbf: now + 60 }, {}, /is not valid yet/],
    ["for another audience", { aud: "others" }, {}, /aud is wrong/],
    ["for several, none of them us", { aud: ["a", "b"] }, {}, /aud is wrong/],
    ["of another type", {}, { typ: "JWT" }, /typ is wrong/],
    ["without subject", { sub: undefined }, {}, /sub is wrong/],
    ["without session", { sid: undefined }, {}, /sid is wrong/],
    ["with a session that is none", { sid: "1" }, {}, /names no session/],
    [
      "with a session that nobody has",
      { sid: "01990000-0000-7000-8000-000000000000" },
      {},
      /does not exist/,
    ],
    [
      "with somebody else's session",
      { sub: "00000000-0000-7000-8000-000000000001" },
      {},
      /does not exist/,
    ],
  ])("make it refused: %s", async (_, claims, header, message) => {
    await getMe(await sign({}));
    const failure = await failureOf(getMe(await sign(claims, header)));
    expect(failure).toMatch(/^UNAUTHENTICATED UNAUTHENTICATED: /);
    expect(failure).toMatch(message);
  });
});

test("are signed with JWT_SECRET where that is set, and the JWKS then shows nothing", async () => {
  const secret = "a shared secret of at least 32 bytes";
  const { app, token, getMe } = await start({ JWT_SECRET: secret });
  expect(decodeProtectedHeader(token)).toMatchObject({ alg: "HS256" });
  await getMe(token);
  expect(await (await fetch(`${app.baseUrl}/.well-known/jwks.json`)).json()).toEqual({ keys: [] });
  await app.close();
});

describe("tokens of another issuer", () => {
  let issuer: Issuer;
  let app: TestApp;
  let administrator: Clients;
  beforeAll(async () => {
    issuer = await startIssuer();
    app = await startApp({
      ...work,
      OIDC_ISSUER: issuer.url,
      OIDC_AUDIENCE: "tribe-api",
      OIDC_ROLE_CLAIM: "realm_access.roles",
    });
    administrator = clientsOf(app.baseUrl, app.key);
  });
  afterAll(async () => {
    await app.close();
    await issuer.close();
  });
  const getMe = (token: string) => clientsOf(app.baseUrl, token).identity.getMe({});

  test("make their user on first sight, once, with the role of the claim", async () => {
    const claims = { sub: "ada", email: "ada@issuer.example", email_verified: true, name: "Ada" };
    const token = await issuer.sign({ ...claims, realm_access: { roles: ["tribe-viewer"] } });
    const seen = await Promise.all([getMe(token), getMe(token), getMe(await issuer.sign(claims))]);
    expect(new Set(seen.map(({ user }) => user?.userId)).size).toBe(1);
    expect(seen[0]?.user).toMatchObject({ email: "ada@issuer.example", displayName: "Ada" });
    const viewer = await issuer.sign({
      ...claims,
      jti: "2",
      realm_access: { roles: ["other", "viewer"] },
    });
    expect((await getMe(viewer)).user?.role).toBe(Role.VIEWER);
    const admin = await issuer.sign({
      ...claims,
      jti: "3",
      realm_access: { roles: ["viewer", "admin"] },
    });
    expect((await getMe(admin)).user?.role).toBe(Role.ADMIN);
    const none = await issuer.sign({ ...claims, jti: "4" });
    expect((await getMe(none)).user?.role).toBe(Role.USER);
    // Who was an administrator a moment ago is none any more, with the older token neither.
    expect((await getMe(none)).permissions).not.toContain("users:write");
    const userId = seen[0]?.user?.userId;
    const { auditEvents } = await administrator.admin.listAuditEvents({});
    const events = auditEvents.filter(({ resource }) => resource === `user/${userId}`);
    expect(events.at(-1)?.action).toBe("identity.user.create");
    expect(events.filter(({ action }) => action === "identity.user.create").length).toBe(1);
  });

  test("do not take over the account of somebody who has the e-mail", async () => {
    const email = "taken@example.org";
    const { user } = await administrator.identity.createUser({ email, password, role: Role.ADMIN });
    for (const isVerified of [true, false]) {
      const me = await getMe(
        await issuer.sign({ sub: `thief-${isVerified}`, email, email_verified: isVerified }),
      );
      expect(me.user?.userId).not.toBe(user?.userId);
      expect(me.user).toMatchObject({ email: "", role: Role.USER });
    }
  });

  test("are not taken from users who are disabled", async () => {
    const { user } = await getMe(await issuer.sign({ sub: "leaver" }));
    await administrator.identity.updateUser({
      user: { userId: user?.userId ?? "", disabled: true },
    });
    expect(await failureOf(getMe(await issuer.sign({ sub: "leaver", jti: "2" })))).toMatch(
      /^UNAUTHENTICATED .*disabled/,
    );
  });

  const now = Math.floor(Date.now() / 1000);
  test.each<[string, (issuer: Issuer) => Promise<string>, RegExp]>([
    ["for another audience", (issuer) => issuer.sign({ aud: "others" }), /aud is wrong/],
    ["without audience", (issuer) => issuer.sign({ aud: undefined }), /aud is wrong/],
    [
      "of another issuer",
      (issuer) => issuer.sign({ iss: "https://evil.example" }),
      /issuer is not one/,
    ],
    ["expired", (issuer) => issuer.sign({ exp: now - 60 }), /has expired/],
    ["without end", (issuer) => issuer.sign({ exp: undefined }), /exp is wrong/],
    ["not valid yet", (issuer) => issuer.sign({ nbf: now + 120 }), /is not valid yet/],
    ["without subject", (issuer) => issuer.sign({ sub: undefined }), /sub is wrong/],
    ["with an empty subject", (issuer) => issuer.sign({ sub: "" }), /sub is wrong/],
    [
      "signed with a key that the issuer does not have",
      (issuer) => issuer.signWithOther({}),
      /is not valid/,
    ],
    [
      "signed by nobody",
      async (issuer) => forge(await issuer.sign({}), { alg: "none" }, {}, () => ""),
      /is not valid/,
    ],
    [
      "signed with the public key as a secret",
      async (issuer) =>
        forge(await issuer.sign({}), { alg: "HS256" }, {}, (input) =>
          createHmac("sha256", issuer.publicPem).update(input).digest(),
        ),
      /is not valid/,
    ],
  ])("are refused: %s", async (_, make, message) => {
    const failure = await failureOf(getMe(await make(issuer)));
    expect(failure).toMatch(/^UNAUTHENTICATED UNAUTHENTICATED: /);
    expect(failure).toMatch(message);
  });

  test("are taken with the issuer's next key", async () => {
    await getMe(await issuer.sign({ sub: "before" }));
    await issuer.rotate();
    // The keys were fetched a moment ago: a few seconds pass before they are fetched again.
    const token = await issuer.sign({ sub: "after" });
    await vi.waitFor(async () => expect((await getMe(token)).user).toBeDefined(), {
      timeout: 20_000,
      interval: 100,
    });
  });

  test("are not taken while the issuer is away", async () => {
    const lonely = await startApp({
      ...work,
      OIDC_ISSUER: "http://127.0.0.1:9",
      OIDC_AUDIENCE: "tribe-api",
    });
    const lost = await issuer.sign({ iss: "http://127.0.0.1:9" });
    expect(await failureOf(clientsOf(lonely.baseUrl, lost).identity.getMe({}))).toMatch(
      /^UNAVAILABLE ISSUER_UNAVAILABLE/,
    );
    await lonely.close();
  });
});
