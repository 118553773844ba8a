/** The real nginx in front of two real processes: what callers see of it. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { request } from "node:https";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { create, type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { http } from "../../gen/google/api/annotations_pb.js";
import { Health, HealthCheckRequestSchema } from "../../gen/grpc/health/v1/health_pb.js";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { AdminService } from "../../gen/tribe/v1/admin_pb.js";
import {
  ChatService,
  ListModelsRequestSchema,
  SendMessageRequestSchema,
  type SendMessageResponse,
  type StreamMessageResponse,
} from "../../gen/tribe/v1/chat_pb.js";
import { until } from "../support/eventually.ts";
import { createGrpcClient } from "../support/grpc-client.ts";
import { brotliModule, call, instanceOf, startEdge, type TestEdge } from "../support/nginx.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { startProgram, type TestProgram } from "../support/program.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const key = "administrator-behind-the-edge";
const authorization = { authorization: `Bearer ${key}` };
const json = { ...authorization, "content-type": "application/json" };
const question = JSON.stringify({
  content: [{ text: "Hello" }],
  cache: "CACHE_MODE_BYPASS",
});

let database: TestDatabase;
let redis: TestRedis;
let provider: ProviderServer;
let programs: TestProgram[] = [];
let edge: TestEdge;
/** Nothing hidden, and little allowed. */
let strict: TestEdge;

beforeAll(async () => {
  provider = await startProviderServer();
  [database, redis] = await Promise.all([createDatabase(), startRedis()]);
  const environment = {
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    ADMIN_API_KEY: key,
    SECRET_KEY: "a secret of the tests that is long enough",
    OPENAI_API_KEY: "sk-test",
    OPENAI_BASE_URL: provider.openaiUrl,
    TRUSTED_PROXIES: "127.0.0.1",
  };
  programs = await Promise.all([startProgram(environment), startProgram(environment)]);
  const instances = programs.map(instanceOf);
  const enabled = `admin reflection metrics ocsp${existsSync(brotliModule) ? " brotli" : ""}`;
  edge = await startEdge(instances);
  strict = await startEdge(instances, {
    EDGE_ENABLE: enabled,
    EDGE_RESOLVER: "127.0.0.1",
    EDGE_RATE: "1",
    EDGE_BURST: "5",
    EDGE_CONNECTIONS: "2",
    EDGE_CLIENT_TIMEOUT: "1",
  });
});
afterAll(async () => {
  await Promise.all([edge?.close(), strict?.close()]);
  await Promise.all(programs.map((program) => program.close()));
  await Promise.all([database?.close(), redis?.stop(), provider?.close()]);
});

describe("TLS", () => {
  async function handshake(options: ConnectionOptions) {
    const { port } = new URL(edge.url);
    const socket = connectTls({
      port: Number(port),
      host: "127.0.0.1",
      ca: edge.authority,
      servername: "localhost",
      ...options,
    });
    try {
      await once(socket, "secureConnect");
      return { protocol: socket.getProtocol(), alpn: socket.alpnProtocol };
    } finally {
      socket.destroy();
    }
  }

  test.each(["TLSv1.2", "TLSv1.3"] as const)("%s is spoken, with HTTP/2", async (version) => {
    const only = { minVersion: version, maxVersion: version };
    const alpn = { ALPNProtocols: ["h2", "http/1.1"] };
    expect(await handshake({ ...only, ...alpn })).toEqual({ protocol: version, alpn: "h2" });
  });

  test("what is older or weaker is refused", async () => {
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "ALL:@SECLEVEL=0" } as const;
    await expect(handshake(old)).rejects.toMatchObject({
      code: expect.stringMatching(/ALERT_PROTOCOL_VERSION|WRONG_VERSION|UNSUPPORTED_PROTOCOL/),
    });
    const weak = { maxVersion: "TLSv1.2", ciphers: "AES128-SHA:@SECLEVEL=0" } as const;
    await expect(handshake(weak)).rejects.toMatchObject({
      code: expect.stringMatching(/HANDSHAKE_FAILURE/),
    });
  });

  test("plain HTTP is sent to TLS", async () => {
    const url = `http://127.0.0.1:${edge.httpPort}/docs?x=1`;
    const response = await fetch(url, { redirect: "manual" });
    expect(response.status).toBe(308);
    expect(response.headers.get("location")).toBe("https://127.0.0.1/docs?x=1");
  });
});

describe("headers", () => {
  const always = {
    "strict-transport-security": "max-age=63072000; includeSubDomains",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
  };

  test("every answer is safe to show, and what is no page may load nothing", async () => {
    const paths = ["/api/v1/models", "/health", "/nothing", "/metrics"];
    const answers = await Promise.all(
      paths.map((path) => call(edge, path, { headers: authorization })),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 404, 404]);
    for (const { headers } of answers) {
      expect(headers).toMatchObject(always);
      expect(headers["content-security-policy"]).toMatch(/^default-src 'none'; base-uri 'none'/);
      expect(headers["server"]).toBe("nginx");
    }
  });

  test("the documentation keeps its own policy, and all that it loads comes", async () => {
    const page = await call(edge, "/docs");
    expect(page.headers).toMatchObject(always);
    expect(page.headers["content-security-policy"]).toContain("script-src 'self'");
    const loaded = [...page.body.matchAll(/(?:src|href)="(\/docs\/[^"]+)"/g)].map(
      ([, path]) => path ?? "",
    );
    expect(loaded.length).toBeGreaterThan(2);
    for (const path of loaded) {
      const part = await call(edge, path, { headers: { "accept-encoding": "gzip, br" } });
      expect(part.status).toBe(200);
      expect(part.headers["cache-control"]).toBe("public, max-age=31536000, immutable");
      expect(part.headers["content-encoding"]).toBe(path.endsWith(".png") ? undefined : "br");
    }
    expect(page.headers["cache-control"]).toBe("no-cache");
  });

  test("the caller's request id goes through if it is sane, else a new one", async () => {
    const ask = (id: string) =>
      call(edge, "/api/v1/models", { headers: { ...authorization, "x-request-id": id } });
    expect((await ask("my-id/1")).headers["x-request-id"]).toBe("my-id/1");
    expect((await ask("two words")).headers["x-request-id"]).toMatch(/^[0-9a-f]{32}$/);
    await until(() => programs.some(({ output }) => output().includes("my-id/1")));
    const hidden = await call(edge, "/metrics", { headers: { "x-request-id": 'quo"ted' } });
    expect(hidden.headers["x-request-id"]).toBe('quo"ted');
    expect(JSON.parse(hidden.body)).toMatchObject({
      code: 5,
      details: [{ reason: "NOT_FOUND" }, {}],
    });
  });

  test("the service knows the caller's address, whatever the caller says", async () => {
    const made = await call(edge, "/api/v1/api-keys", {
      headers: { ...json, "x-forwarded-for": "203.0.113.9", forwarded: "for=203.0.113.9" },
      body: JSON.stringify({ name: randomUUID() }),
      localAddress: "127.0.0.77",
    });
    expect(made.status).toBe(200);
    await until(async () => {
      const rows = await database.sql("select address from audit_details");
      return rows.some(({ address }) => address === "127.0.0.77");
    });
    const rows = await database.sql("select 1 from audit_details where address like '203.%'");
    expect(rows).toEqual([]);
  });

  test.runIf(existsSync(brotliModule))("what is sent plain is compressed, br or gzip", async () => {
    for (const coding of ["br", "gzip"]) {
      const headers = { "accept-encoding": coding };
      const answer = await call(coding === "br" ? strict : edge, "/openapi.json", { headers });
      expect(answer.headers["content-encoding"]).toBe(coding);
    }
  });
});

describe("gRPC on the same port", () => {
  const secure = (at: TestEdge) => credentials.createSsl(Buffer.from(at.authority));
  const client = (service: Parameters<typeof createGrpcClient>[0], at = edge) =>
    createGrpcClient(service, at.address, {}, secure(at));
  const metadata = () => {
    const fields = new Metadata();
    fields.set("authorization", `Bearer ${key}`);
    return fields;
  };

  test("unary calls, streams and errors pass", async () => {
    const chat = client(ChatService);
    const request = create(SendMessageRequestSchema, {
      content: [{ part: { case: "text", value: "Hello" } }],
    });
    const answer = await new Promise<SendMessageResponse>((resolve, reject) => {
      chat["SendMessage"]!(
        request,
        metadata(),
        (error: ServiceError | null, response: SendMessageResponse) =>
          error ? reject(error) : resolve(response),
      );
    });
    expect(answer.provider).toBe("openai");
    const events: StreamMessageResponse[] = [];
    for await (const event of chat["StreamMessage"]!(request, metadata())) events.push(event);
    expect(events.at(-1)?.event.case).toBe("completed");
    const refused = await new Promise<ServiceError | null>((resolve) => {
      chat["ListModels"]!(create(ListModelsRequestSchema), new Metadata(), resolve);
    });
    expect(refused).toMatchObject({ code: 16 });
    expect(refused?.metadata.get("grpc-status-details-bin")).toHaveLength(1);
    expect(refused?.metadata.get("x-request-id")).toHaveLength(1);
    chat.close();
  });

  test("reflection and administration are hidden, health is not", async () => {
    const health = client(Health);
    const checked = await new Promise((resolve) => {
      health["Check"]!(create(HealthCheckRequestSchema), (error: unknown, response: unknown) =>
        resolve(error ?? response),
      );
    });
    expect(checked).toMatchObject({ status: 1 });
    health.close();
    expect(await reflect(edge)).toMatchObject({ code: 12, details: "this method does not exist" });
    expect(await reflect(strict)).toBeUndefined();
  });

  async function reflect(at: TestEdge): Promise<unknown> {
    const reflection = client(ServerReflection, at);
    const stream = reflection["ServerReflectionInfo"]!();
    stream.end(
      create(ServerReflectionRequestSchema, {
        messageRequest: { case: "listServices", value: "" },
      }),
    );
    try {
      for await (const _ of stream);
      return undefined;
    } catch (error) {
      return error;
    } finally {
      reflection.close();
    }
  }
});

/** The routes of a method that REST has for it, with its variables filled in. */
function restOf(method: DescMethod): { method: string; path: string }[] {
  if (!hasOption(method, http)) return [];
  const rule = getOption(method, http);
  return [rule, ...rule.additionalBindings].map(({ pattern }) => ({
    method: String(pattern.case).toUpperCase(),
    path: String(pattern.value).replaceAll(/\{[^}]+\}/g, randomUUID()),
  }));
}

describe("administration", () => {
  const calls = AdminService.methods.flatMap((method) => [
    ...restOf(method),
    { method: "POST", path: `/${AdminService.typeName}/${method.name}` },
  ]);
  const disguised = [
    "/api/v1//settings",
    "/api/v1/x/../settings",
    "/api/v1/%73ettings",
    "//metrics",
  ];

  test.each([...calls, ...disguised.map((path) => ({ method: "GET", path }))])(
    "$method $path is hidden",
    async ({ method, path }) => {
      const body = method === "GET" ? {} : { body: "{}" };
      const hidden = await call(edge, path, { method, headers: json, ...body });
      expect(hidden.status).toBe(404);
      expect(JSON.parse(hidden.body)).toMatchObject({ message: "this path does not exist" });
    },
  );

  test("an include opens it", async () => {
    const settings = await call(strict, "/api/v1/settings", { headers: authorization });
    expect(settings.status).toBe(200);
  });
});

describe("streams", () => {
  async function arrival(path: string, headers: Record<string, string>) {
    provider.script({ text: Array.from({ length: 20 }, (_, i) => `word${i} `), delayMs: 25 });
    const stream = request(`${edge.url}${path}`, {
      ca: edge.authority,
      servername: "localhost",
      agent: false,
      method: "POST",
      headers: { ...json, ...headers },
    });
    stream.end(question);
    const [response] = await once(stream, "response");
    let text = "";
    let first: boolean | undefined;
    for await (const chunk of response) {
      text += String(chunk);
      // The provider has not yet said everything when we have the first word.
      if (text.includes("word0")) first ??= provider.requests.at(-1)?.billed === undefined;
    }
    return { first, text };
  }

  test("Server-Sent Events arrive token by token", async () => {
    const { first, text } = await arrival("/api/v1/chat:stream", { accept: "text/event-stream" });
    expect(first).toBe(true);
    expect(text.match(/^event: text_delta$/gm)?.length).toBe(20);
    expect(text).toContain("event: completed");
  });

  test("so do lines of JSON", async () => {
    const { first, text } = await arrival("/api/v1/chat:stream", {});
    expect(first).toBe(true);
    expect(text.trim().split("\n").length).toBe(22);
  });
});

describe("limits", () => {
  test("too many requests of one address are refused in the caller's form, and only its own", async () => {
    const flood = (path: string, localAddress: string, headers = {}) =>
      Promise.all(
        Array.from({ length: 12 }, () =>
          call(strict, path, { headers: { ...authorization, ...headers }, localAddress }),
        ),
      );
    const refused = (await flood("/api/v1/models", "127.0.0.2")).filter(
      ({ status }) => status === 429,
    );
    expect(refused.length).toBeGreaterThan(3);
    expect(refused[0]?.headers["retry-after"]).toBe("1");
    expect(JSON.parse(refused[0]?.body ?? "")).toMatchObject({
      code: 8,
      details: [
        { reason: "RESOURCE_EXHAUSTED", domain: "tribe" },
        { requestId: expect.any(String) },
      ],
    });
    const rpc = await flood("/tribe.v1.HealthService/Live", "127.0.0.2", json);
    const connect = rpc.find(({ status }) => status === 429);
    expect(JSON.parse(connect?.body ?? "")).toMatchObject({ code: "resource_exhausted" });
    const other = await call(strict, "/health/live", { localAddress: "127.0.0.3" });
    expect(other.status).toBe(200);
  });

  test("gRPC is told so in its own form", async () => {
    const chat = createGrpcClient(
      ChatService,
      strict.address,
      {},
      credentials.createSsl(Buffer.from(strict.authority)),
    );
    const codes = await Promise.all(
      Array.from(
        { length: 12 },
        () =>
          new Promise<number | undefined>((resolve) => {
            const done = (error: ServiceError | null) => resolve(error?.code);
            chat["ListModels"]!(create(ListModelsRequestSchema), done);
          }),
      ),
    );
    expect(codes).toContain(8);
    chat.close();
  });

  test("bodies and headers have a size", async () => {
    const large = await call(edge, "/api/v1/chat", {
      headers: { ...json, "content-length": String(18 * 1024 * 1024) },
      body: "{",
    });
    expect(large.status).toBe(413);
    expect(JSON.parse(large.body)).toMatchObject({ code: 8 });
    const headers = { ...authorization, "x-long": "x".repeat(10_000) };
    expect((await call(edge, "/health", { headers })).status).toBe(400);
  });

  test.each([
    ["headers", "GET /health HTTP/1.1\r\nhost: x\r\n"],
    ["a body", "POST /api/v1/chat HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"],
  ])("who never ends %s is let go", async (_, text) => {
    const options = {
      ca: strict.authority,
      servername: "localhost",
      localAddress: "127.0.0.4",
      host: "127.0.0.1",
    };
    const socket = connectTls({ ...options, port: Number(new URL(strict.url).port) });
    socket.on("error", () => {});
    socket.write(text);
    socket.resume();
    await new Promise((resolve) => {
      socket.on("close", resolve);
    });
    expect(socket.destroyed).toBe(true);
  });
});

test("the access log is JSON, without what is secret", async () => {
  const secret = randomUUID();
  await call(edge, `/api/v1/models?key=${secret}`, { headers: authorization });
  await until(() => edge.accessLog().some(({ path }) => path === "/api/v1/models"));
  const lines = edge.accessLog();
  expect(lines.find(({ path }) => path === "/api/v1/models")).toMatchObject({
    requestId: expect.any(String),
    address: expect.stringMatching(/^127\./),
    status: 200,
    tls: "TLSv1.3",
    upstream: expect.stringMatching(/^127\.0\.0\.1:\d+$/),
  });
  expect(JSON.stringify(lines)).not.toContain(secret);
  expect(JSON.stringify(lines)).not.toContain(key);
});
