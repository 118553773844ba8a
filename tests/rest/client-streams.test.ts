import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { compileProto, serviceOf } from "./support/proto.ts";
import { readUntil, startRest, type TestServer } from "./support/server.ts";

const registry = compileProto(`
  message Request { string name = 1; int32 number = 2; Leaf leaf = 3; google.api.HttpBody file = 4; }
  message Leaf { string text = 1; }
  message Response { repeated Request received = 1; }
  service TestService {
    rpc Sum(stream Request) returns (Response) {
      option (google.api.http) = {post: "/v1/{name}:sum" body: "*"};
    }
    rpc Leaves(stream Request) returns (Response) {
      option (google.api.http) = {post: "/v1/{name}:leaves" body: "leaf"};
    }
    rpc Upload(stream Request) returns (Response) {
      option (google.api.http) = {put: "/v1/{name}:upload" body: "file"};
    }
    rpc Once(stream Request) returns (Response) { option (google.api.http) = {get: "/v1/{name}"}; }
    rpc Echo(stream Request) returns (stream Request) {
      option (google.api.http) = {post: "/v1/{name}:echo" body: "*"};
    }
  }`);

type Handler = (requests: AsyncIterable<object>, context: HandlerContext) => unknown;
const collect: Handler = async (requests) => ({ received: await Array.fromAsync(requests) });
let handle: Handler;
let server: TestServer;

beforeAll(async () => {
  const handler: Handler = (requests, context) => handle(requests, context);
  server = await startRest({
    maxRequestBytes: 1_000,
    routes: (router) =>
      router.service(serviceOf(registry), {
        sum: handler,
        leaves: handler,
        upload: handler,
        once: handler,
        async *echo(requests: AsyncIterable<object>) {
          for await (const request of requests) yield request;
        },
      } as never),
  });
});
afterAll(() => server.close());
beforeEach(() => {
  handle = collect;
});

const post = (path: string, body: string | Uint8Array, headers: Record<string, string> = {}) =>
  server.send({
    method: "POST",
    path,
    headers: { "content-type": "application/x-ndjson", ...headers },
    body,
  });

describe("a client stream", () => {
  it.each([
    ['{"number":1}\n{"number":2}\n', [1, 2]],
    ['{"number":1}\n{"number":2}', [1, 2]],
    ['{"number":1}\r\n\r\n  \n{"number":2}\r\n', [1, 2]],
    ['{"number":1}', [1]],
    ["\n\n", []],
    ["", []],
  ])("of %j has messages", async (body, numbers) => {
    const response = await post("/v1/a:sum", body);
    expect(response.status).toBe(200);
    const { received = [] } = response.json as { received?: { number: number; name: string }[] };
    expect(received).toEqual(numbers.map((number) => ({ number, name: "a" })));
  });

  it("has path and query in every message", async () => {
    const response = await post("/v1/a:leaves?number=7", '{"text":"x"}\n{"text":"y"}\n');
    expect(response.json).toEqual({
      received: ["x", "y"].map((text) => ({ name: "a", number: 7, leaf: { text } })),
    });
  });

  it("without a body in its rule has one message", async () => {
    expect((await server.send("GET /v1/a?number=1")).json).toEqual({
      received: [{ name: "a", number: 1 }],
    });
  });

  it("may be compressed", async () => {
    const body = gzipSync('{"number":1}\n{"number":2}\n');
    const response = await post("/v1/a:sum", body, { "content-encoding": "gzip" });
    expect((response.json as { received: unknown[] }).received).toHaveLength(2);
  });

  it.each([
    [
      '{"number":1}\n{"number":x}\n',
      'line 2: the body is not JSON: unexpected "x" at line 1, column 11',
    ],
    ['{"number":1}\n{"nmber":1}\n', 'line 2: nmber: unknown field "nmber"'],
    [`{"number":1}\n{"name":"${"x".repeat(1_000)}"}`, "larger than 1000 bytes"],
  ])("with a wrong line fails: %.40j", async (body, message) => {
    const response = await post("/v1/a:sum", body);
    expect(response.json).toMatchObject({ message: expect.stringContaining(message) });
    expect([400, 413]).toContain(response.status);
  });

  it.each([
    [{ "content-type": "text/plain" }, 415],
    [{ "content-encoding": "compress" }, 415],
    [{ "content-encoding": "gzip" }, 400],
    [{ "connect-timeout-ms": "soon" }, 400],
  ])("with headers %o is refused with %i", async (headers, status) => {
    const response = await post("/v1/a:sum", '{"number":1}', headers as Record<string, string>);
    expect(response.status).toBe(status);
    expect(response.json).toMatchObject({ code: 3 });
  });

  it.each(["identity", "gzip"])(
    "that is refused early leaves its connection to the next request: %s",
    async (encoding) => {
      const plain = `{"nmber":1}\n${randomBytes(500_000).toString("hex")}`;
      const body = encoding === "gzip" ? gzipSync(plain) : Buffer.from(plain);
      const socket = connect(server.port, "127.0.0.1");
      socket.setEncoding("latin1");
      let answers = "";
      socket.on("data", (text: string) => (answers += text));
      socket.write(
        `POST /v1/a:sum HTTP/1.1\r\nhost: test\r\ncontent-type: application/x-ndjson\r\n` +
          `content-encoding: ${encoding}\r\ncontent-length: ${body.length}\r\n\r\n`,
      );
      socket.write(body);
      socket.end("GET /v1/a?number=1 HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
      await once(socket, "close");
      expect(answers.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 400", "HTTP/1.1 200"]);
    },
  );

  it("may be longer than the limit of one message", async () => {
    const body = '{"number":1}\n'.repeat(10_000);
    const response = await post("/v1/a:sum", body);
    expect((response.json as { received: unknown[] }).received).toHaveLength(10_000);
  });

  it("may be raw bytes", async () => {
    const body = Buffer.alloc(200_000, 7);
    const headers = { "content-type": "image/png" };
    const response = await server.send({ method: "PUT", path: "/v1/a:upload", headers, body });
    const { received } = response.json as {
      received: { name: string; file: { contentType: string; data: string } }[];
    };
    expect(received.length).toBeGreaterThan(1);
    for (const { name, file } of received)
      expect([name, file.contentType]).toEqual(["a", "image/png"]);
    const data = received.map(({ file }) => Buffer.from(file.data, "base64"));
    expect(Buffer.concat(data)).toEqual(body);
  });

  it("of no bytes at all has one message", async () => {
    expect((await server.send("PUT /v1/a:upload")).json).toEqual({ received: [{ name: "a" }] });
  });

  it("reaches the handler while it is being sent, and so does its end", async () => {
    const seen: object[] = [];
    const first = Promise.withResolvers<void>();
    handle = async (requests) => {
      for await (const request of requests) {
        seen.push(request);
        first.resolve();
      }
      return {};
    };
    const outgoing = httpRequest({ port: server.port, method: "POST", path: "/v1/a:sum" });
    outgoing.write('{"number":1}\n');
    await first.promise;
    expect(seen).toHaveLength(1);
    const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;
    outgoing.end('{"number":2}\n');
    const [response] = await answered;
    expect(response.statusCode).toBe(200);
    expect(seen).toHaveLength(2);
    response.resume();
  });

  it("may be answered before its end", async () => {
    handle = async (requests) => {
      for await (const request of requests) return { received: [request] };
    };
    const response = await post("/v1/a:sum", '{"number":1}\n'.repeat(100));
    expect(response.json).toEqual({ received: [{ name: "a", number: 1 }] });
  });

  it("ends with its error", async () => {
    handle = async () => {
      throw new ConnectError("no", Code.FailedPrecondition);
    };
    expect((await post("/v1/a:sum", "{}")).json).toMatchObject({ code: 9, message: "no" });
  });

  it("ends at its deadline", async () => {
    handle = () => new Promise(() => {});
    const response = await post("/v1/a:sum", "{}", { "connect-timeout-ms": "20" });
    expect(response.status).toBe(504);
  });

  it("of a client that goes away is cancelled", async () => {
    const aborted = Promise.withResolvers<unknown>();
    const failed = Promise.withResolvers<unknown>();
    handle = async (requests, { signal }) => {
      signal.addEventListener("abort", () => aborted.resolve(signal.reason));
      try {
        for await (const request of requests) outgoing.destroy(request as Error);
      } catch (error) {
        failed.resolve(error);
      }
      return {};
    };
    const outgoing = httpRequest({ port: server.port, method: "POST", path: "/v1/a:sum" });
    outgoing.on("error", () => {});
    outgoing.write('{"number":1}\n');
    expect(ConnectError.from(await aborted.promise).code).toBe(Code.Canceled);
    expect(ConnectError.from(await failed.promise)).toMatchObject({
      code: Code.Canceled,
      rawMessage: "the client went away",
    });
  });
});

describe("a stream in both directions", () => {
  it("answers while it is being sent", async () => {
    const outgoing = httpRequest({
      port: server.port,
      method: "POST",
      path: "/v1/a:echo",
      headers: { accept: "text/event-stream" },
    });
    const answered = once(outgoing, "response") as Promise<[IncomingMessage]>;
    outgoing.write('{"number":1}\n');
    const [response] = await answered;
    const first = await readUntil(response, "\n\n");
    expect(first).toBe('data: {"name":"a","number":1}\n\n');
    outgoing.write('{"number":2}\n');
    expect(await readUntil(response, "\n\n")).toBe('data: {"name":"a","number":2}\n\n');
    outgoing.end("{\n");
    const last = await readUntil(response, "\n\n");
    expect(last).toMatch(/^event: error\ndata: \{"code":3,"message":"line 3: /);
  });
});
