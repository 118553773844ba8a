import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import { DurationSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, type HandlerContext } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import type { RestOptions } from "../../src/rest/index.ts";
import { compileProto, messageOf, serviceOf } from "./support/proto.ts";
import { startRest, type TestServer } from "./support/server.ts";

const registry = compileProto(`
  message Request { string name = 1; }
  message Leaf { string name = 1; int64 number = 2; }
  service TestService {
    rpc Get(Request) returns (Request) { option (google.api.http) = {get: "/v1/{name}"}; }
    rpc Missing(Request) returns (Request) { option (google.api.http) = {get: "/v1/x/missing"}; }
  }`);

/** What the handler does. */
let handle: (request: { name: string }, context: HandlerContext) => unknown;
const routes: RestOptions["routes"] = (router) =>
  router.service(serviceOf(registry), {
    get: (request: { name: string }, context: HandlerContext) => handle(request, context),
  } as never);

let server: TestServer;
beforeAll(async () => {
  server = await startRest({ routes, registry, maxTimeoutMs: 5_000 });
});
afterAll(() => server.close());
beforeEach(() => {
  handle = (request) => request;
});

function failWith(error: unknown): void {
  handle = () => {
    throw error;
  };
}

describe("an error", () => {
  it.each([
    [Code.Canceled, 499],
    [Code.Unknown, 500],
    [Code.InvalidArgument, 400],
    [Code.DeadlineExceeded, 504],
    [Code.NotFound, 404],
    [Code.AlreadyExists, 409],
    [Code.PermissionDenied, 403],
    [Code.ResourceExhausted, 429],
    [Code.FailedPrecondition, 400],
    [Code.Aborted, 409],
    [Code.OutOfRange, 400],
    [Code.Unimplemented, 501],
    [Code.Internal, 500],
    [Code.Unavailable, 503],
    [Code.DataLoss, 500],
    [Code.Unauthenticated, 401],
  ])("with code %i has HTTP status %i", async (code, status) => {
    failWith(new ConnectError("what went wrong", code));
    const response = await server.send("GET /v1/a");
    expect(response.json).toEqual({ code, message: "what went wrong", details: [] });
    expect(response.status).toBe(status);
    expect(response.headers["content-type"]).toBe("application/json; charset=utf-8");
    expect(response.headers["cache-control"]).toBe("no-store");
    expect(response.headers["www-authenticate"]).toBe(status === 401 ? "Bearer" : undefined);
  });

  it("has details of every form", async () => {
    const error = new ConnectError("no", Code.Aborted, undefined, [
      { desc: ErrorInfoSchema, value: { reason: "REASON", domain: "test", metadata: { a: "b" } } },
      { desc: messageOf(registry, "Leaf"), value: { name: "a", number: 1n } as never },
      { desc: DurationSchema, value: { seconds: 1n } },
    ]);
    error.details.push(
      { type: "test.v1.Leaf", value: Uint8Array.of(10, 1, 98) },
      { type: "test.v1.Leaf", value: Uint8Array.of(255) },
      { type: "unknown.Type", value: Uint8Array.of(1, 2, 3) },
    );
    failWith(error);
    const { json } = await server.send("GET /v1/a");
    expect(json).toMatchObject({
      details: [
        {
          "@type": "type.googleapis.com/google.rpc.ErrorInfo",
          reason: "REASON",
          domain: "test",
          metadata: { a: "b" },
        },
        { "@type": "type.googleapis.com/test.v1.Leaf", name: "a", number: "1" },
        { "@type": "type.googleapis.com/google.protobuf.Duration", value: "1s" },
        { "@type": "type.googleapis.com/test.v1.Leaf", name: "b" },
        { "@type": "type.googleapis.com/test.v1.Leaf", value: "/w==" },
        { "@type": "type.googleapis.com/unknown.Type", value: "AQID" },
      ],
    });
  });

  it.each([
    [{ seconds: 3n, nanos: 0 }, "3"],
    [{ seconds: 1n, nanos: 1 }, "2"],
    [{ seconds: 0n, nanos: 1_000_000 }, "1"],
    [{ seconds: 0n, nanos: 0 }, "0"],
  ])("with a RetryInfo of %o has Retry-After: %s", async (retryDelay, expected) => {
    const details = [{ desc: RetryInfoSchema, value: { retryDelay } }];
    failWith(new ConnectError("later", Code.Unavailable, undefined, details));
    expect((await server.send("GET /v1/a")).headers["retry-after"]).toBe(expected);
  });

  it("has the metadata and the headers that were set before", async () => {
    handle = (_request, { responseHeader }) => {
      responseHeader.set("x-before", "1");
      throw new ConnectError("no", Code.NotFound, { "x-error": "2", "retry-after": "7" });
    };
    const { headers } = await server.send("GET /v1/a");
    expect(headers).toMatchObject({ "x-before": "1", "x-error": "2", "retry-after": "7" });
  });

  it("that is none of ours tells nothing", async () => {
    failWith(new TypeError("secret"));
    const response = await server.send("GET /v1/a");
    expect(response.json).toEqual({ code: 13, message: "internal error", details: [] });
    expect(response.status).toBe(500);
    failWith("a string");
    expect((await server.send("GET /v1/a")).status).toBe(500);
  });

  it("says what is not implemented", async () => {
    const response = await server.send("GET /v1/x/missing");
    expect(response.status).toBe(501);
    expect(response.json).toMatchObject({ code: 12 });
  });
});

describe("mapError", () => {
  it("sees every error, and the request", async () => {
    const seen: string[] = [];
    const mapped = await startRest({
      routes,
      mapError(error, request) {
        seen.push(`${request.method} ${request.url} ${String(error)}`);
        const { code, rawMessage } = ConnectError.from(error);
        return new ConnectError(`${rawMessage}!`, code === Code.Unknown ? Code.DataLoss : code);
      },
    });
    failWith(new Error("broken"));
    expect((await mapped.send("GET /v1/a")).json).toMatchObject({ code: 15, message: "broken!" });
    const missing = await mapped.send("GET /v2");
    expect(missing.json).toMatchObject({ code: 5, message: 'there is no GET "/v2"!' });
    const wrong = await mapped.send("POST /v1/a {}");
    expect([wrong.status, wrong.headers.allow]).toEqual([405, "GET, HEAD, OPTIONS"]);
    expect(seen).toEqual([
      "GET /v1/a Error: broken",
      expect.stringContaining("GET /v2 ConnectError: [not_found]"),
      expect.stringContaining("POST /v1/a ConnectError: [unimplemented]"),
    ]);
    await mapped.close();
  });

  it("that fails itself is an internal error", async () => {
    const mapped = await startRest({
      routes,
      mapError() {
        throw new Error("cannot map");
      },
    });
    expect((await mapped.send("GET /v2")).json).toMatchObject({ message: "internal error" });
    await mapped.close();
  });
});

describe("a deadline", () => {
  /** Answers with the time that is left. */
  function tellDeadline(): void {
    handle = (_request, context) => ({ name: String(context.timeoutMs()) });
  }
  async function timeLeft(headers: Record<string, string>): Promise<number> {
    tellDeadline();
    const { json } = await server.send({ path: "/v1/a", headers });
    return Number((json as { name: string }).name);
  }

  it.each([
    [{ "connect-timeout-ms": "2000" }, 2_000],
    [{ "grpc-timeout": "2S" }, 2_000],
    [{ "grpc-timeout": "1500m" }, 1_500],
    [{ "grpc-timeout": "1500000u" }, 1_500],
    [{ "grpc-timeout": "99999999n" }, 100],
    [{ "x-server-timeout": "1.5" }, 1_500],
    [{ "x-server-timeout": "2" }, 2_000],
    // The shortest counts, and the server has a limit.
    [{ "x-server-timeout": "2", "connect-timeout-ms": "1000" }, 1_000],
    [{ "grpc-timeout": "1H" }, 5_000],
    [{ "connect-timeout-ms": "9999999999" }, 5_000],
  ])("of %o is about %i ms", async (headers, expected) => {
    const left = await timeLeft(headers as Record<string, string>);
    expect(left).toBeLessThanOrEqual(expected);
    expect(left).toBeGreaterThan(expected - 1_000);
  });

  it("is none unless somebody sets one", async () => {
    expect(await timeLeft({})).toBeNaN();
  });

  it("may have a default", async () => {
    const limited = await startRest({ routes, defaultTimeoutMs: 3_000 });
    tellDeadline();
    const { json } = await limited.send("GET /v1/a");
    expect(Number((json as { name: string }).name)).toBeGreaterThan(1_000);
    await limited.close();
  });

  it.each([
    ["connect-timeout-ms", "1.5"],
    ["connect-timeout-ms", "-1"],
    ["connect-timeout-ms", "99999999999"],
    ["grpc-timeout", "1"],
    ["grpc-timeout", "1s"],
    ["grpc-timeout", "123456789S"],
    ["x-server-timeout", "soon"],
    ["x-server-timeout", "-1"],
    ["x-server-timeout", "1e3"],
  ])("of %s: %s is refused", async (name, value) => {
    const response = await server.send({ path: "/v1/a", headers: { [name]: value } });
    expect(response.status).toBe(400);
    expect(response.json).toMatchObject({ code: 3, message: expect.stringContaining(`${name}: `) });
  });

  it.each([["20"], ["0"]])(
    "of %s ms ends the call, also of a handler that goes on",
    async (timeout) => {
      let aborted: unknown;
      handle = async (request, { signal }) => {
        signal.addEventListener("abort", () => (aborted = signal.reason));
        await delay(10_000, undefined, { signal }).catch(() => new Promise(() => {}));
        return request;
      };
      const headers = { "connect-timeout-ms": timeout };
      const response = await server.send({ path: "/v1/a", headers });
      expect(response.status).toBe(504);
      expect(response.json).toMatchObject({ code: 4 });
      expect(ConnectError.from(aborted).code).toBe(Code.DeadlineExceeded);
    },
  );
});

describe("a client that goes away", () => {
  it("aborts the signal of the handler", async () => {
    const aborted = Promise.withResolvers<void>();
    handle = async (request, { signal }) => {
      signal.addEventListener("abort", () => aborted.resolve());
      queueMicrotask(() => {
        for (const socket of sockets) socket.destroy();
      });
      await aborted.promise;
      return request;
    };
    const sockets = new Set<{ destroy(): void }>();
    server.server.server.once("request", ({ socket }) => sockets.add(socket));
    await expect(server.send("GET /v1/a")).rejects.toThrow("socket hang up");
    await aborted.promise;
  });

  it("aborts also the signals of calls that wait behind others on its connection", async () => {
    const reasons = [Promise.withResolvers<unknown>(), Promise.withResolvers<unknown>()];
    let begun = 0;
    handle = ({ name }, { signal }) => {
      signal.addEventListener("abort", () => reasons[Number(name)]?.resolve(signal.reason));
      if (++begun === 2) socket.destroy();
      return new Promise(() => {});
    };
    const socket = connect(server.port, "127.0.0.1");
    socket.write("GET /v1/0 HTTP/1.1\r\nhost: x\r\n\r\nGET /v1/1 HTTP/1.1\r\nhost: x\r\n\r\n");
    for (const { promise } of reasons) {
      expect(ConnectError.from(await promise).code).toBe(Code.Canceled);
    }
  });
});

it("knows the error details without being told", async () => {
  failWith(
    new ConnectError("no", Code.NotFound, undefined, [
      { desc: ErrorInfoSchema, value: create(ErrorInfoSchema, { reason: "R" }) },
    ]),
  );
  const plain = await startRest({ routes });
  const { json } = await plain.send("GET /v1/a");
  expect(json).toMatchObject({ details: [{ reason: "R" }] });
  await plain.close();
});
