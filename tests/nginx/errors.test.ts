/** What the real nginx says in its own name: Tribe's error vocabulary, in the caller's protocol. */
import { once } from "node:events";
import { createServer as createHttp1Server, type Server } from "node:http";
import {
  connect as connectHttp2,
  createServer as createHttp2Server,
  type Http2Server,
  type IncomingHttpHeaders,
} from "node:http2";
import { connect, type AddressInfo } from "node:net";
import { text } from "node:stream/consumers";
import { create, fromBinary } from "@bufbuild/protobuf";
import { createClient, type ConnectError } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { credentials, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { type Status, StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { ChatService, ListModelsRequestSchema } from "../../gen/tribe/v1/chat_pb.js";
import { detailsOf, statusFromServiceError } from "../support/error-details.ts";
import { createGrpcClient } from "../support/grpc-client.ts";
import { call, callRaw, startEdge, type TestEdge } from "../support/nginx.ts";
import { freePort } from "../support/redis.ts";

const models = "/tribe.v1.ChatService/ListModels";
const chat = "/tribe.v1.ChatService/SendMessage";
const detail = (name: string) => `type.googleapis.com/google.rpc.${name}`;

/** Says hello to everybody, over HTTP/1.1 and over gRPC's HTTP/2. */
let http1: Server;
let http2: Http2Server;
/** In front of it. */
let edge: TestEdge;
/** In front of it, for few calls of one address. */
let strict: TestEdge;
/** In front of nothing. */
let lonely: TestEdge;

beforeAll(async () => {
  http1 = createHttp1Server((incoming, response) => {
    incoming.resume();
    response.setHeader("content-type", "application/json").end("{}");
  });
  http2 = createHttp2Server().on("stream", (stream) => {
    stream.respond({ "content-type": "application/grpc", "grpc-status": 0 }, { endStream: true });
  });
  const [http, grpc] = await Promise.all(
    [http1, http2].map(async (server) => {
      await once(server.listen(0, "127.0.0.1"), "listening");
      return (server.address() as AddressInfo).port;
    }),
  );
  const instances = [`127.0.0.1:${http}:${grpc}`];
  edge = await startEdge(instances);
  strict = await startEdge(instances, {
    EDGE_RATE: "1",
    EDGE_BURST: "5",
    EDGE_CONNECTIONS: "2",
    EDGE_CLIENT_TIMEOUT: "1",
  });
  lonely = await startEdge([`127.0.0.1:${await freePort()}:${await freePort()}`]);
});
afterAll(async () => {
  await Promise.all([edge?.close(), strict?.close(), lonely?.close()]);
  http1?.close();
  http2?.close();
});

/** Refused calls by Connect's and gRPC-Web's own clients. */
async function connectError(at: TestEdge, protocol: "connect" | "grpc-web"): Promise<ConnectError> {
  const options = {
    baseUrl: at.url,
    httpVersion: "1.1",
    nodeOptions: { ca: at.authority, servername: "localhost" },
  } as const;
  const transport =
    protocol === "connect" ? createConnectTransport(options) : createGrpcWebTransport(options);
  return createClient(ChatService, transport)
    .listModels({})
    .then(
      () => Promise.reject(new Error("was answered")),
      (error: ConnectError) => error,
    );
}

/** A refused call by gRPC's own client. */
async function grpcError(at: TestEdge): Promise<ServiceError | null> {
  const client = createGrpcClient(
    ChatService,
    at.address,
    { "grpc.enable_retries": 0 },
    credentials.createSsl(Buffer.from(at.authority)),
  );
  const error = await new Promise<ServiceError | null>((resolve) => {
    client["ListModels"]!(create(ListModelsRequestSchema), resolve);
  });
  client.close();
  return error;
}

describe("no instance answers", () => {
  test("REST", async () => {
    const answer = await call(lonely, "/api/v1/models");
    expect(answer.status).toBe(502);
    expect(answer.headers["retry-after"]).toBe("1");
    expect(JSON.parse(answer.body)).toEqual({
      code: 14,
      message: "no instance answered; try again",
      details: [
        { "@type": detail("ErrorInfo"), reason: "UNAVAILABLE", domain: "tribe" },
        { "@type": detail("RequestInfo"), requestId: answer.headers["x-request-id"] },
        { "@type": detail("RetryInfo"), retryDelay: "1s" },
      ],
    });
  });

  test("Connect", async () => {
    const error = await connectError(lonely, "connect");
    expect(error).toMatchObject({ code: 14, rawMessage: "no instance answered; try again" });
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([
      { reason: "UNAVAILABLE", domain: "tribe" },
    ]);
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 1n } }]);
    expect(error.metadata.get("retry-after")).toBe("1");
  });

  test("gRPC-Web", async () => {
    const error = await connectError(lonely, "grpc-web");
    expect(error).toMatchObject({ code: 14, rawMessage: "no instance answered; try again" });
    expect(error.findDetails(ErrorInfoSchema)).toMatchObject([{ reason: "UNAVAILABLE" }]);
    expect(error.findDetails(RetryInfoSchema)).toMatchObject([{ retryDelay: { seconds: 1n } }]);
  });

  test("gRPC", async () => {
    const error = (await grpcError(lonely))!;
    expect(error).toMatchObject({ code: 14, details: "no instance answered; try again" });
    expect(detailsOf(statusFromServiceError(error))).toMatchObject({
      ErrorInfo: { reason: "UNAVAILABLE", domain: "tribe" },
      RetryInfo: { retryDelay: "1s" },
    });
    expect(error.metadata.get("retry-after")).toEqual(["1"]);
    expect(error.metadata.get("x-request-id")).toHaveLength(1);
  });
});

describe("too many calls of one address", () => {
  const flood = (path: string, localAddress: string, headers: Record<string, string> = {}) =>
    Promise.all(
      Array.from({ length: 12 }, () =>
        call(strict, path, {
          method: "POST",
          body: "{}",
          headers: { "content-type": "application/json", ...headers },
          localAddress,
        }),
      ),
    );
  const refused = (answers: Awaited<ReturnType<typeof flood>>) =>
    answers.find(({ status, headers }) => status === 429 || headers["grpc-status"] === "8");

  test("REST, and nobody else is refused", async () => {
    const answer = refused(await flood("/api/v1/chat", "127.0.0.2"));
    expect(answer?.status).toBe(429);
    expect(answer?.headers["retry-after"]).toBe("1");
    expect(JSON.parse(answer?.body ?? "")).toMatchObject({
      code: 8,
      details: [
        { reason: "RESOURCE_EXHAUSTED", domain: "tribe" },
        { requestId: expect.any(String) },
        { retryDelay: "1s" },
      ],
    });
    expect((await call(strict, "/health/live", { localAddress: "127.0.0.3" })).status).toBe(200);
  });

  test("Connect", async () => {
    const answer = refused(await flood(models, "127.0.0.4"));
    expect(answer?.status).toBe(429);
    expect(JSON.parse(answer?.body ?? "")).toMatchObject({
      code: "resource_exhausted",
      details: [{ type: "google.rpc.ErrorInfo" }, { type: "google.rpc.RetryInfo" }],
    });
  });

  test.each([
    ["gRPC", "application/grpc", "application/grpc", "127.0.0.5"],
    ["gRPC-Web", "application/grpc-web+proto", "application/grpc-web+proto", "127.0.0.6"],
  ])("%s", async (_, contentType, expected, localAddress) => {
    const answer = refused(await flood(models, localAddress, { "content-type": contentType }));
    expect(answer).toMatchObject({
      status: 200,
      body: "",
      headers: { "content-type": expected, "grpc-status": "8", "retry-after": "1" },
    });
    const details = Buffer.from(String(answer?.headers["grpc-status-details-bin"]), "base64");
    const status = fromBinary(StatusSchema, details);
    expect(status).toMatchObject({ code: 8, message: answer?.headers["grpc-message"] });
    expect(detailsOf(status)).toMatchObject({
      ErrorInfo: { reason: "RESOURCE_EXHAUSTED", domain: "tribe" },
      RetryInfo: { retryDelay: "1s" },
    });
  });
});

describe("requests that are too large", () => {
  const large = { "content-length": String(18 * 1024 * 1024) };

  test("a body over REST and Connect", async () => {
    const headers = { "content-type": "application/json", ...large };
    const rest = await call(edge, "/api/v1/chat", { headers, body: "{" });
    expect([rest.status, JSON.parse(rest.body).code]).toEqual([413, 8]);
    const rpc = await call(edge, chat, { headers, body: "{" });
    expect([rpc.status, JSON.parse(rpc.body).code]).toEqual([413, "resource_exhausted"]);
  });

  test.each([
    ["/api/v1/chat", "application/json", large],
    ["/api/v1/chat", "application/json", {}],
    [chat, "application/json", large],
    [chat, "application/json", {}],
    [chat, "application/grpc", large],
    [chat, "application/grpc-web+proto", large],
  ])("over HTTP/2 a body to %s as %s with %j", async (path, type, length) => {
    const session = connectHttp2(edge.url, {
      ca: edge.authority,
      servername: "localhost",
      maxSessionMemory: 100,
    });
    const stream = session.request({
      ":method": "POST",
      ":path": path,
      "content-type": type,
      ...length,
    });
    // Not all of it leaves: the answer comes first.
    for (const it of [session, stream]) it.on("error", () => undefined);
    stream.end(Buffer.alloc(18 * 1024 * 1024, "{"));
    const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
    const body = await text(stream);
    session.destroy();
    const told = {
      status: headers[":status"],
      type: headers["content-type"],
      said: body === "" ? headers["grpc-message"] : (JSON.parse(body) as Status).message,
    };
    expect(told).toEqual({
      status: type === "application/json" ? 413 : 200,
      type,
      said: expect.stringContaining("larger than 16 MiB; send less") as string,
    });
  });

  test.each(["application/grpc", "application/grpc-web+proto"])("a body as %s", async (type) => {
    const answer = await call(edge, chat, {
      headers: { "content-type": type, ...large },
      body: "{",
    });
    expect(answer).toMatchObject({ status: 200, headers: { "grpc-status": "8" } });
    const details = Buffer.from(String(answer.headers["grpc-status-details-bin"]), "base64");
    expect(fromBinary(StatusSchema, details)).toMatchObject({
      code: 8,
      message: "the message is larger than 16 MiB; send less",
    });
    expect(answer.headers["grpc-message"]).toBe("the message is larger than 16 MiB; send less");
  });

  test("headers", async () => {
    const answer = await call(edge, "/health", { headers: { "x-long": "x".repeat(10_000) } });
    expect(answer.status).toBe(431);
    expect(JSON.parse(answer.body)).toMatchObject({
      code: 3,
      message: "the headers are too large",
    });
  });

  test("an address", async () => {
    const answer = await call(edge, `/${"x".repeat(10_000)}`);
    expect(answer.status).toBe(414);
    expect(JSON.parse(answer.body)).toMatchObject({ code: 3 });
  });
});

describe("requests that nobody can read", () => {
  test.each([
    ["no request at all", "nonsense\r\n\r\n"],
    ["no host", "GET /health HTTP/1.1\r\n\r\n"],
    ["a zero in the path", "GET /health%00 HTTP/1.1\r\nhost: x\r\n\r\n"],
    ["a path above the root", "GET /../health HTTP/1.1\r\nhost: x\r\n\r\n"],
    [
      "two lengths",
      "GET /health HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n",
    ],
    [
      "a length and chunks",
      "POST /health HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    ],
  ])("%s", async (_, text) => {
    const [head = "", body = ""] = (await callRaw(edge, text)).split("\r\n\r\n");
    expect(head).toMatch(/^HTTP\/1\.1 400 /);
    expect(head).toMatch(/^Strict-Transport-Security: /m);
    expect(JSON.parse(body)).toMatchObject({
      code: 3,
      details: [{ reason: "INVALID_ARGUMENT" }, { requestId: expect.any(String) }],
    });
  });

  test("plain HTTP on the port for TLS", async () => {
    const socket = connect(Number(new URL(edge.url).port), "127.0.0.1");
    socket.write("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
    let text = "";
    for await (const chunk of socket) text += String(chunk);
    expect(text).toMatch(/^HTTP\/1\.1 400 /);
  });
});

test.each([
  ["headers", "GET /health HTTP/1.1\r\nhost: x\r\n"],
  ["a body", "POST /api/v1/chat HTTP/1.1\r\nhost: x\r\ncontent-length: 100\r\n\r\n{"],
])("who never ends %s is let go", async (_, text) => {
  expect(await callRaw(strict, text, "127.0.0.7")).not.toMatch(/^HTTP\/1\.1 200 /);
});

test("TRACE is not served", async () => {
  const answer = await callRaw(
    edge,
    "TRACE /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n",
  );
  expect(answer).toMatch(/^HTTP\/1\.1 405 [^]*"reason":"UNIMPLEMENTED"/);
});

test("where errors are made is no path of its own", async () => {
  const answer = await call(edge, "/.edge-error");
  expect(answer.status).toBe(404);
  expect(JSON.parse(answer.body)).toMatchObject({
    code: 5,
    details: [{ reason: "NOT_FOUND" }, {}],
  });
});

test("a request id that JSON would need to escape is told in the header alone", async () => {
  const answer = await call(edge, "/metrics", { headers: { "x-request-id": 'quo"ted' } });
  expect(answer.headers["x-request-id"]).toBe('quo"ted');
  expect(JSON.parse(answer.body)).toMatchObject({
    code: 5,
    details: [{ reason: "NOT_FOUND" }, {}],
  });
});

test("the log has the path that was asked for, also of what nobody could read", async () => {
  await callRaw(edge, "GET /no-host?secret HTTP/1.1\r\n\r\n");
  await expect.poll(() => edge.accessLog().map(({ path }) => path)).toContain("/no-host");
});
