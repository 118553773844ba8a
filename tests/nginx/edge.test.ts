/** The real nginx in front of two real processes: what callers see of it. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { request } from "node:https";
import { connect as connectTls, type ConnectionOptions } from "node:tls";
import { create } from "@bufbuild/protobuf";
import { credentials, Metadata, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Health, HealthCheckRequestSchema } from "../../gen/grpc/health/v1/health_pb.js";
import {
  ChatService,
  ListModelsRequestSchema,
  SendMessageRequestSchema,
  type SendMessageResponse,
  type StreamMessageResponse,
} from "../../gen/tribe/v1/chat_pb.js";
import { until } from "../support/eventually.ts";
import { createGrpcClient } from "../support/grpc-client.ts";
import { call, instanceOf, startEdge, type TestEdge } from "../support/nginx.ts";
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
  edge = await startEdge(programs.map(instanceOf));
});
afterAll(async () => {
  await edge?.close();
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

  test("people are sent to TLS", async () => {
    const url = `http://127.0.0.1:${edge.httpPort}/docs?x=1`;
    const response = await fetch(url, { redirect: "manual" });
    expect(response.status).toBe(308);
    expect(response.headers.get("location")).toBe("https://127.0.0.1/docs?x=1");
  });

  test("a program that forgot TLS is told so, instead of sending its key in the clear for ever", async () => {
    const url = `http://127.0.0.1:${edge.httpPort}/api/v1/conversations`;
    const response = await fetch(url, { redirect: "manual", headers: authorization });
    expect(response.status).toBe(403);
    expect(await response.json()).toMatchObject({
      code: 7,
      message: expect.stringMatching(/^call https/),
    });
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
});

describe("gRPC on the same port", () => {
  const client = (service: Parameters<typeof createGrpcClient>[0]) =>
    createGrpcClient(service, edge.address, {}, credentials.createSsl(Buffer.from(edge.authority)));
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

  test("so does the health of the service", async () => {
    const health = client(Health);
    const checked = await new Promise((resolve) => {
      health["Check"]!(create(HealthCheckRequestSchema), (error: unknown, response: unknown) =>
        resolve(error ?? response),
      );
    });
    expect(checked).toMatchObject({ status: 1 });
    health.close();
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
