import { Metadata, type ServiceError } from "@grpc/grpc-js";
import { create } from "@bufbuild/protobuf";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcWebTransport } from "@connectrpc/connect-node";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import {
  CreateConversationRequestSchema,
  ConversationService,
} from "../../gen/tribe/v1/conversation_pb.js";
import { Role } from "../../gen/tribe/v1/identity_pb.js";
import { startApp, type TestApp } from "../support/app.ts";
import { createGrpcClient } from "../support/grpc-client.ts";
import { startProgram, type TestProgram } from "../support/program.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { clientsOf, type Clients } from "./clients.ts";

const email = "ada@example.org";
const password = "correct horse battery staple";
const work = { ARGON2_MEMORY: "1024", ARGON2_PASSES: "1" };

let redis: TestRedis;
let app: TestApp;
let other: TestProgram;
let administrator: Clients;
beforeAll(async () => {
  redis = await startRedis();
  app = await startApp({
    REDIS_URL: redis.url,
    ALLOWED_ORIGINS: "https://chat.example",
    ...work,
  });
  administrator = clientsOf(app.baseUrl, app.key);
  await administrator.identity.createUser({ email, password, role: Role.USER });
  other = await startProgram({
    DATABASE_URL: app.database.url,
    REDIS_URL: redis.url,
    ADMIN_API_KEY: app.key,
  });
});
afterAll(async () => {
  await other.close();
  await app.close();
  await redis.stop();
});

function call(path: string, headers: Record<string, string>, body?: object, baseUrl = app.baseUrl) {
  return fetch(`${baseUrl}${path}`, {
    method: body === undefined ? "GET" : "POST",
    headers: { "content-type": "application/json", ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
}

async function signIn(headers: Record<string, string> = {}) {
  const response = await call("/api/v1/auth:signIn", headers, { email, password, cookie: true });
  const { csrfToken, ...rest } = (await response.json()) as { csrfToken: string };
  const setCookie = response.headers.get("set-cookie") ?? "";
  return {
    status: response.status,
    csrfToken,
    setCookie,
    cookie: setCookie.split(";")[0] ?? "",
    rest,
  };
}

const doors: [string, (headers: Record<string, string>) => Promise<number | string>][] = [
  ["REST", async (headers) => (await call("/api/v1/conversations", headers, {})).status],
  [
    "Connect",
    async (headers) =>
      (await call("/tribe.v1.ConversationService/CreateConversation", headers, {})).status,
  ],
  [
    "gRPC-Web",
    async (headers) => {
      const transport = createGrpcWebTransport({
        baseUrl: app.baseUrl,
        httpVersion: "1.1",
        interceptors: [
          (next) => (request) => {
            for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
            return next(request);
          },
        ],
      });
      try {
        await createClient(ConversationService, transport).createConversation({});
        return 200;
      } catch (error) {
        const { code } = ConnectError.from(error);
        return (
          { [Code.PermissionDenied]: 403, [Code.Unauthenticated]: 401 }[code as number] ?? code
        );
      }
    },
  ],
  [
    "gRPC",
    (headers) =>
      new Promise((resolve) => {
        const client = createGrpcClient(ConversationService, app.grpcAddress);
        const metadata = new Metadata();
        for (const [name, value] of Object.entries(headers)) metadata.set(name, value);
        const request = create(CreateConversationRequestSchema, {});
        client["CreateConversation"]!(request, metadata, (error: ServiceError | null) => {
          client.close();
          resolve(error === null ? 200 : ({ 7: 403, 16: 401 }[error.code as number] ?? error.code));
        });
      }),
  ],
];

test("a browser gets a cookie that no script reads and no other site sends, and no tokens", async () => {
  const { status, setCookie, csrfToken, rest } = await signIn();
  expect(status).toBe(200);
  expect(setCookie).toMatch(
    /^__Host-tribe=[\w-]{43}; Path=\/; Secure; HttpOnly; SameSite=Strict; Max-Age=\d+$/,
  );
  expect(csrfToken).toMatch(/^[\w-]{43}$/);
  expect(rest).not.toHaveProperty("accessToken");
  expect(rest).not.toHaveProperty("refreshToken");
});

describe.each(doors)("over %s", (_, createConversation) => {
  test("a call with the cookie needs the token of the session", async () => {
    const [{ cookie, csrfToken }, somebody] = [await signIn(), await signIn()];
    expect(await createConversation({ cookie, "x-csrf-token": csrfToken })).toBe(200);
    expect(await createConversation({ cookie })).toBe(403);
    expect(await createConversation({ cookie, "x-csrf-token": "" })).toBe(403);
    expect(await createConversation({ cookie, "x-csrf-token": somebody.csrfToken })).toBe(403);
    expect(
      await createConversation({ cookie: "__Host-tribe=nothing", "x-csrf-token": csrfToken }),
    ).toBe(401);
    expect(await createConversation({})).toBe(401);
  });

  test("a call of another origin's page is refused, even with the token", async () => {
    const { cookie, csrfToken } = await signIn();
    const headers = { cookie, "x-csrf-token": csrfToken };
    expect(await createConversation({ ...headers, origin: "https://evil.example" })).toBe(403);
    expect(await createConversation({ ...headers, origin: "null" })).toBe(403);
    expect(await createConversation({ ...headers, "sec-fetch-site": "cross-site" })).toBe(403);
    expect(await createConversation({ ...headers, "sec-fetch-site": "same-site" })).toBe(403);
    expect(await createConversation({ ...headers, origin: "https://chat.example" })).toBe(200);
  });
});

describe.each(doors)("of two credentials over %s", (_, createConversation) => {
  test("the key or token decides, and a cookie beside it is not looked at", async () => {
    const { cookie } = await signIn();
    const key = { "x-api-key": app.key };
    expect(await createConversation({ ...key, cookie: "__Host-tribe=nothing" })).toBe(200);
    // What no other site's page can add proves that it is none.
    expect(await createConversation({ ...key, cookie, origin: "https://evil.example" })).toBe(200);
    expect(await createConversation({ "x-api-key": "nobody's", cookie })).toBe(401);
    expect(await createConversation({ authorization: "Bearer nobody's", cookie })).toBe(401);
  });

  test("a key and a token that differ are refused, whichever of them is right", async () => {
    const authorization = `Bearer ${app.key}`;
    expect(await createConversation({ authorization, "x-api-key": app.key })).toBe(200);
    expect(await createConversation({ authorization, "x-api-key": "another" })).toBe(401);
    expect(
      await createConversation({ authorization: "Bearer another", "x-api-key": app.key }),
    ).toBe(401);
    expect(await createConversation({ authorization: "Basic YTpi", "x-api-key": app.key })).toBe(
      401,
    );
  });
});

test("beside a token, a cookie's session is neither shown nor ended", async () => {
  const { cookie } = await signIn();
  const tokens = await clientsOf(app.baseUrl, "").identity.signIn({ email, password });
  const headers = { authorization: `Bearer ${tokens.accessToken}`, cookie };
  const me = (await (await call("/api/v1/me", headers)).json()) as { csrfToken?: string };
  expect(me.csrfToken ?? "").toBe("");
  const out = await call("/api/v1/auth:signOut", headers, {});
  expect([out.status, out.headers.get("set-cookie")]).toEqual([200, null]);
  expect((await call("/api/v1/me", headers)).status).toBe(401);
  expect((await call("/api/v1/me", { cookie })).status).toBe(200);
});

test("our own page may call, and GetMe gives it the token again after a reload", async () => {
  const { cookie, csrfToken } = await signIn();
  const own = { cookie, origin: app.baseUrl, "sec-fetch-site": "same-origin" };
  const me = await call("/api/v1/me", own);
  expect(await me.json()).toMatchObject({ user: { email }, csrfToken });
  const post = await call("/api/v1/conversations", { ...own, "x-csrf-token": csrfToken }, {});
  expect(post.status).toBe(200);
});

test("a page of another origin cannot sign its visitor in", async () => {
  expect((await signIn({ origin: "https://evil.example" })).status).toBe(403);
});

test("a session is never one that was there before the sign-in", async () => {
  const planted = "__Host-tribe=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
  expect((await call("/api/v1/me", { cookie: planted })).status).toBe(401);
  const [first, second] = [await signIn({ cookie: planted }), await signIn({ cookie: planted })];
  expect(first.cookie).not.toBe(planted);
  expect(second.cookie).not.toBe(first.cookie);
  expect((await call("/api/v1/me", { cookie: planted })).status).toBe(401);
});

test("the cookie is nowhere to be read in the stores", async () => {
  const { cookie } = await signIn();
  const value = cookie.split("=")[1] ?? "";
  const { createRedis } = await import("../../src/redis/redis.ts");
  const client = createRedis({ address: { kind: "standalone", url: redis.url } });
  await vi.waitFor(() => client.ping());
  const keys = await client.command<string[]>("", ["KEYS", "*"]);
  expect(keys.some((key) => key.startsWith("tribe:session:"))).toBe(true);
  for (const key of keys) {
    const dump = key.startsWith("tribe:session:")
      ? await client.command<string>(key, ["GET", key])
      : "";
    expect(key + dump).not.toContain(value);
  }
  await client.close();
  expect(JSON.stringify(app.log)).not.toContain(value);
});

test("signing out ends the session in every process, and everywhere ends all", async () => {
  const [one, two] = [await signIn(), await signIn()];
  const status = async (cookie: string, baseUrl: string) =>
    (await call("/api/v1/me", { cookie }, undefined, baseUrl)).status;
  expect(await status(one.cookie, other.baseUrl)).toBe(200);
  const out = await call(
    "/api/v1/auth:signOut",
    { cookie: one.cookie, "x-csrf-token": one.csrfToken },
    {},
  );
  expect(out.headers.get("set-cookie")).toMatch(/^__Host-tribe=; .*Max-Age=0$/);
  expect(await status(one.cookie, app.baseUrl)).toBe(401);
  await vi.waitFor(async () => expect(await status(one.cookie, other.baseUrl)).toBe(401));
  expect(await status(two.cookie, other.baseUrl)).toBe(200);
  const three = await signIn();
  const headers = { cookie: three.cookie, "x-csrf-token": three.csrfToken };
  await call("/api/v1/auth:signOut", headers, { everywhere: true });
  for (const { cookie } of [two, three]) {
    await vi.waitFor(async () => expect(await status(cookie, other.baseUrl)).toBe(401));
  }
});

test("a session ends when it is not used, and in the end anyway", async () => {
  const short = await startApp({
    REDIS_URL: redis.url,
    SESSION_IDLE_TIMEOUT: "60",
    SESSION_LIFETIME: "60",
    ...work,
  });
  await clientsOf(short.baseUrl, short.key).identity.createUser({
    email,
    password,
    role: Role.USER,
  });
  const response = await call(
    "/api/v1/auth:signIn",
    {},
    { email, password, cookie: true },
    short.baseUrl,
  );
  const cookie = response.headers.get("set-cookie")?.split(";")[0] ?? "";
  expect((await call("/api/v1/me", { cookie }, undefined, short.baseUrl)).status).toBe(200);
  const { createRedis } = await import("../../src/redis/redis.ts");
  const client = createRedis({ address: { kind: "standalone", url: redis.url } });
  await vi.waitFor(() => client.ping());
  // The idle timeout is Redis's: what it forgot is over.
  const keys = await client.command<string[]>("", ["KEYS", "tribe:session:*"]);
  const ttls = await Promise.all(keys.map((key) => client.command<number>(key, ["TTL", key])));
  expect(ttls.some((ttl) => ttl > 0 && ttl <= 60)).toBe(true);
  await Promise.all(keys.map((key) => client.command(key, ["DEL", key])));
  expect((await call("/api/v1/me", { cookie }, undefined, short.baseUrl)).status).toBe(401);
  await client.close();
  await short.close();
});
