import { createBrotliDecompress, createGunzip } from "node:zlib";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import type { RestOptions } from "../../src/rest/index.ts";
import { compileProto, serviceOf } from "./support/proto.ts";
import { readUntil, startRest, type TestServer } from "./support/server.ts";

const registry = compileProto(`
  message Request { string name = 1; int64 after = 2; }
  message Event {
    int64 sequence = 1; Leaf leaf = 2;
    oneof event { string text_delta = 3; bool done = 4; }
    string label = 5;
  }
  message Leaf { string name = 1; }
  service TestService {
    rpc Watch(Request) returns (stream Event) {
      option (google.api.http) = {
        get: "/v1/{name}:watch"
        additional_bindings: {post: "/v1/{name}:watch" body: "*"}
      };
      option (tribe.rest.v1.stream) = {
        event_id_field: "sequence" event_name_oneof: "event" last_event_id_field: "after"
      };
    }
    rpc Leaves(Request) returns (stream Event) {
      option (google.api.http) = {get: "/v1/{name}:leaves" response_body: "leaf"};
    }
    rpc Labels(Request) returns (stream Event) {
      option (google.api.http) = {get: "/v1/{name}:labels"};
      option (tribe.rest.v1.stream) = {event_id_field: "label"};
    }
    rpc Export(Request) returns (stream google.api.HttpBody) {
      option (google.api.http) = {get: "/v1/{name}:export"};
    }
  }`);

type Handler = (request: { name: string; after: bigint }, context: HandlerContext) => unknown;
/** What the handlers yield. */
let handle: Handler;
let ended: PromiseWithResolvers<unknown>;

const routes: RestOptions["routes"] = (router) => {
  const handler: Handler = (request, context) => {
    context.signal.addEventListener("abort", () => ended.resolve(context.signal.reason));
    return handle(request, context);
  };
  router.service(serviceOf(registry), {
    watch: handler,
    leaves: handler,
    labels: handler,
    export: handler,
  } as never);
};

let server: TestServer;
/** The server's side of the last response. */
let lastReply: ServerResponse | undefined;
beforeAll(async () => {
  server = await startRest({ routes, keepAliveMs: 20, compressMinBytes: 1 }, (instance) => {
    instance.addHook("onRequest", async (_request, { raw }) => {
      lastReply = raw;
    });
  });
});
afterAll(() => server.close());
beforeEach(() => {
  ended = Promise.withResolvers();
  handle = async function* () {
    yield { sequence: 1n, event: { case: "textDelta", value: "Hello" } };
    yield { sequence: 2n, event: { case: "done", value: true } };
  };
});

const events = { accept: "text/event-stream" };
const twoEvents =
  'id: 1\nevent: text_delta\ndata: {"sequence":"1","textDelta":"Hello"}\n\n' +
  'id: 2\nevent: done\ndata: {"sequence":"2","done":true}\n\n';
const twoLines = '{"sequence":"1","textDelta":"Hello"}\n{"sequence":"2","done":true}\n';

describe("a server stream", () => {
  it.each([
    [undefined, "lines"],
    ["*/*", "lines"],
    ["application/json", "lines"],
    ["application/x-ndjson", "lines"],
    ["text/event-stream;q=0", "lines"],
    ["text/event-stream;q=0.5, application/x-ndjson", "lines"],
    ["text/event-stream", "events"],
    ["TEXT/Event-Stream", "events"],
    ["text/html, text/event-stream;q=0.1", "events"],
    ["application/x-ndjson;q=0.5, text/event-stream", "events"],
  ])("for Accept: %s is %s", async (accept, form) => {
    const response = await server.send({
      path: "/v1/a:watch",
      headers: accept === undefined ? {} : { accept },
    });
    expect(response.text).toBe(form === "events" ? twoEvents : twoLines);
    expect(response.headers["content-type"]).toBe(
      form === "events" ? "text/event-stream" : "application/x-ndjson",
    );
    expect(response.headers["cache-control"]).toBe("no-store");
    expect(response.status).toBe(200);
  });

  it("starts with POST too", async () => {
    expect((await server.send("POST /v1/a:watch {}")).text).toBe(twoLines);
  });

  it("may have only a field of each message", async () => {
    handle = async function* () {
      yield { sequence: 1n, leaf: { name: "a" } };
      yield { sequence: 2n };
    };
    expect((await server.send("GET /v1/a:leaves")).text).toBe('{"name":"a"}\n{}\n');
    const { text } = await server.send({ path: "/v1/a:leaves", headers: events });
    expect(text).toBe('data: {"name":"a"}\n\ndata: {}\n\n');
  });

  it("cannot be broken by what it carries", async () => {
    handle = async function* () {
      yield { label: "a\nevent: x\r\0", event: { case: "textDelta", value: "b\n\ndata: c\r" } };
    };
    const { text } = await server.send({ path: "/v1/a:labels", headers: events });
    const json = JSON.stringify({ textDelta: "b\n\ndata: c\r", label: "a\nevent: x\r\0" });
    expect(text).toBe(`id: aevent: x\ndata: ${json}\n\n`);
  });

  it("may be empty", async () => {
    handle = async function* () {};
    const response = await server.send({ path: "/v1/a:watch", headers: events });
    expect([response.status, response.text]).toEqual([200, ""]);
  });

  it("sends headers and trailers that were set before the first message", async () => {
    handle = async function* (_request: unknown, { responseHeader }: HandlerContext) {
      responseHeader.set("x-a", "1");
      responseHeader.set("cache-control", "public");
      yield {};
    } as Handler;
    const { headers } = await server.send("GET /v1/a:watch");
    expect(headers).toMatchObject({ "x-a": "1", "cache-control": "public" });
  });

  it("delivers each message when it is there", async () => {
    const next = Promise.withResolvers<void>();
    handle = async function* () {
      yield { sequence: 1n };
      await next.promise;
      yield { sequence: 2n };
    };
    const response = await server.open("GET /v1/a:watch");
    expect(await readUntil(response, "\n")).toBe('{"sequence":"1"}\n');
    next.resolve();
    expect(await readUntil(response, "\n")).toBe('{"sequence":"2"}\n');
  });

  it("answers HEAD without running on", async () => {
    handle = async function* () {
      for (let sequence = 1n; ; sequence++) yield { sequence };
    };
    const response = await server.send({ method: "HEAD", path: "/v1/a:watch", headers: events });
    expect([response.status, response.text]).toEqual([200, ""]);
    expect(response.headers["content-type"]).toBe("text/event-stream");
    await ended.promise;
  });
});

describe("Last-Event-ID", () => {
  it("is the request field that is declared for it", async () => {
    handle = async function* ({ after }: { after: bigint }) {
      yield { sequence: after + 1n };
    } as Handler;
    const headers = { "last-event-id": "41" };
    const path = "/v1/a:watch";
    expect((await server.send({ path, headers })).json).toEqual({ sequence: "42" });
    const own = await server.send({ path: `${path}?after=6`, headers });
    expect(own.json).toEqual({ sequence: "7" });
    const none = await server.send({ path, headers: { "last-event-id": "" } });
    expect(none.json).toEqual({ sequence: "1" });
    const other = await server.send({ path: "/v1/a:labels", headers });
    expect(other.json).toEqual({ sequence: "1" });
  });

  it("must fit", async () => {
    const response = await server.send({ path: "/v1/a:watch", headers: { "last-event-id": "x" } });
    expect(response.status).toBe(400);
    expect(response.json).toMatchObject({ message: expect.stringContaining("last-event-id: ") });
  });
});

describe("an error of a stream", () => {
  const failure = new ConnectError("gone", Code.NotFound, { "x-error": "1" });

  it("before the first message has its own status", async () => {
    handle = async function* () {
      await Promise.reject(failure);
      yield {};
    };
    const response = await server.send({ path: "/v1/a:watch", headers: events });
    expect(response.status).toBe(404);
    expect(response.json).toEqual({ code: 5, message: "gone", details: [] });
    expect(response.headers["x-error"]).toBe("1");
  });

  it("of a handler that is no generator has its own status", async () => {
    handle = () => {
      throw failure;
    };
    expect((await server.send("GET /v1/a:watch")).status).toBe(404);
  });

  it("after the first byte is the last event or line", async () => {
    handle = async function* () {
      yield { sequence: 1n };
      throw failure;
    };
    const status = '{"code":5,"message":"gone","details":[]}';
    const asEvents = await server.send({ path: "/v1/a:watch", headers: events });
    expect(asEvents.text).toBe(
      `id: 1\ndata: {"sequence":"1"}\n\nevent: error\ndata: ${status}\n\n`,
    );
    const asLines = await server.send("GET /v1/a:watch");
    expect(asLines.text).toBe(`{"sequence":"1"}\n{"error":${status}}\n`);
    expect(asLines.status).toBe(200);
  });

  it("after a keep-alive is the last event", async () => {
    const next = Promise.withResolvers<void>();
    handle = async function* () {
      await next.promise;
      await Promise.reject(failure);
      yield {};
    };
    const response = await server.open({ path: "/v1/a:watch", headers: events });
    await readUntil(response, ": keep-alive\n\n");
    next.resolve();
    expect(await readUntil(response, "event: error")).toContain('"message":"gone"');
  });

  it("that nobody foresaw tells nothing", async () => {
    handle = async function* () {
      yield { sequence: 1n };
      throw new Error("secret");
    };
    expect((await server.send("GET /v1/a:watch")).text).toContain('{"error":{"code":13,');
  });

  it("of a message that cannot be written is the last line", async () => {
    handle = async function* () {
      yield { sequence: 1n };
      yield { label: 7 };
    };
    expect((await server.send("GET /v1/a:watch")).text).toContain('{"error":{"code":13,');
  });

  it("is the deadline, also if the handler goes on", async () => {
    handle = async function* () {
      yield { sequence: 1n };
      await new Promise(() => {});
    };
    const headers = { "connect-timeout-ms": "30" };
    const { text } = await server.send({ path: "/v1/a:watch", headers });
    expect(text).toBe(
      '{"sequence":"1"}\n{"error":{"code":4,"message":"the operation timed out","details":[]}}\n',
    );
  });

  it("is the deadline before the first message", async () => {
    handle = async function* () {
      await new Promise(() => {});
      yield {};
    };
    const headers = { "connect-timeout-ms": "30" };
    expect((await server.send({ path: "/v1/a:watch", headers })).status).toBe(504);
  });
});

describe("a slow client", () => {
  it("slows the handler down", async () => {
    let produced = 0;
    handle = async function* () {
      const text = "x".repeat(100_000);
      for (; produced < 1_000; produced++) yield { event: { case: "textDelta", value: text } };
    };
    const response = await server.open("GET /v1/a:watch");
    // The handler stops as soon as the buffers are full.
    await expect.poll(() => lastReply?.writableNeedDrain).toBe(true);
    expect(produced).toBeLessThan(900);
    let size = 0;
    for await (const chunk of response) size += (chunk as Buffer).length;
    expect(produced).toBe(1_000);
    expect(size).toBeGreaterThan(100_000_000);
  });

  it("that goes away while the handler waits for it ends the call", async () => {
    let finished = false;
    handle = async function* () {
      try {
        for (;;) yield { event: { case: "textDelta", value: "x".repeat(100_000) } };
      } finally {
        finished = true;
      }
    };
    const response = await server.open("GET /v1/a:watch");
    await once(response, "readable");
    response.destroy();
    await ended.promise;
    await expect.poll(() => finished).toBe(true);
  });
});

it("a client that goes away cancels the call", async () => {
  handle = async function* (_request: unknown, { signal }: HandlerContext) {
    yield { sequence: 1n };
    await once(signal, "abort");
  } as Handler;
  const response = await server.open({ path: "/v1/a:watch", headers: events });
  await readUntil(response, "data:");
  response.destroy();
  expect(ConnectError.from(await ended.promise).code).toBe(Code.Canceled);
});

it("a silent stream of events gets comments, one of lines does not", async () => {
  const next = Promise.withResolvers<void>();
  handle = async function* () {
    yield { sequence: 1n };
    await next.promise;
  };
  const lines = await server.open("GET /v1/a:watch");
  const response = await server.open({ path: "/v1/a:watch", headers: events });
  const text = await readUntil(response, ": keep-alive\n\n");
  expect(text).toContain('data: {"sequence":"1"}\n\n');
  next.resolve();
  expect(await readUntil(lines, "\n")).toBe('{"sequence":"1"}\n');
});

describe("a stream of google.api.HttpBody", () => {
  beforeEach(() => {
    handle = async function* () {
      yield { contentType: "text/csv", data: Buffer.from("a,b\n") };
      yield { data: Buffer.from("c,d\n") };
    };
  });

  it("is raw bytes, of the type of the first message", async () => {
    const response = await server.send({ path: "/v1/a:export", headers: events });
    expect(response.text).toBe("a,b\nc,d\n");
    expect(response.headers["content-type"]).toBe("text/csv");
  });

  it.each([
    ["gzip", createGunzip],
    ["br", createBrotliDecompress],
  ])("may be compressed with %s", async (encoding, createDecoder) => {
    const response = await server.open({
      path: "/v1/a:export",
      headers: { "accept-encoding": encoding },
    });
    expect(response.headers["content-encoding"]).toBe(encoding);
    expect(response.headers.vary).toBe("Accept-Encoding");
    let text = "";
    for await (const chunk of response.pipe(createDecoder())) text += String(chunk);
    expect(text).toBe("a,b\nc,d\n");
  });

  it("is cut by an error, so that nobody takes it for the whole", async () => {
    handle = async function* () {
      yield { contentType: "text/csv", data: Buffer.from("a,b\n") };
      throw new ConnectError("gone", Code.DataLoss);
    };
    await expect(server.send("GET /v1/a:export")).rejects.toThrow(/aborted|socket hang up/);
  });
});

describe("compressed event streams", () => {
  it("are an option, and each event is sent at once", async () => {
    const next = Promise.withResolvers<void>();
    handle = async function* () {
      yield { sequence: 1n };
      await next.promise;
      yield { sequence: 2n };
    };
    const rest = await startRest({ routes, compressStreams: true });
    const path = "/v1/a:watch";
    const response = await rest.open({ path, headers: { "accept-encoding": "gzip" } });
    expect(response.headers["content-encoding"]).toBe("gzip");
    const decoded = response.pipe(createGunzip());
    const [first] = (await once(decoded, "data")) as [Buffer];
    expect(first.toString()).toBe('{"sequence":"1"}\n');
    next.resolve();
    const [second] = (await once(decoded, "data")) as [Buffer];
    expect(second.toString()).toBe('{"sequence":"2"}\n');
    await rest.close();
  });

  it("are off by default", async () => {
    const headers = { "accept-encoding": "gzip", ...events };
    const response = await server.send({ path: "/v1/a:watch", headers });
    expect(response.headers["content-encoding"]).toBeUndefined();
    expect(response.text).toBe(twoEvents);
  });
});
