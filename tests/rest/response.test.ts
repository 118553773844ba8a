import { create, createRegistry, type JsonObject } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import { brotliDecompressSync, gunzipSync } from "node:zlib";
import type { HandlerContext } from "@connectrpc/connect";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compileProto, messageOf, serviceOf } from "./support/proto.ts";
import { startRest, type TestServer } from "./support/server.ts";

/** Fields of the response; each is the body of `GET /v1/body/<field>`. */
const fields: [type: string, name: string, unset: unknown, value: unknown, json: unknown][] = [
  ["string", "text", "", "a", "a"],
  ["bool", "flag", false, true, true],
  ["int32", "number", 0, -1, -1],
  ["uint64", "big", "0", 2n ** 64n - 1n, "18446744073709551615"],
  ["double", "ratio", 0, Number.NaN, "NaN"],
  ["bytes", "raw", "", Uint8Array.of(255), "/w=="],
  ["Color", "color", "COLOR_UNSPECIFIED", 1, "COLOR_RED"],
  ["Leaf", "leaf", {}, { name: "a" }, { name: "a" }],
  ["repeated string", "tags", [], ["a"], ["a"]],
  ["repeated Leaf", "leaves", [], [{}, { name: "a" }], [{}, { name: "a" }]],
  ["map<string, int32>", "counts", {}, { b: 1, a: 2 }, { a: 2, b: 1 }],
  ["google.protobuf.Struct", "struct", null, { x: [1] }, { x: [1] }],
  ["google.protobuf.Timestamp", "time", null, { seconds: 0n }, "1970-01-01T00:00:00Z"],
  ["google.protobuf.StringValue", "wrapped", null, "", ""],
];

let server: TestServer;
/** What `Get` answers. */
let answer: JsonObject & { [key: string]: unknown } = {};

beforeAll(async () => {
  const registry = compileProto(`
    message Leaf { string name = 1; }
    enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; }
    message Request { string name = 1; }
    message Response {
      ${fields.map(([type, name], index) => `${type} ${name} = ${index + 1};`).join("\n")}
      google.protobuf.Any any = 30; google.api.HttpBody file = 31;
    }
    service TestService {
      rpc Get(Request) returns (Response) { option (google.api.http) = {get: "/v1/all"}; }
      rpc Post(Request) returns (Response) { option (google.api.http) = {post: "/v1/all" body: "*"}; }
      ${fields
        .map(
          ([, name], index) =>
            `rpc Body${index}(Request) returns (Response) {
              option (google.api.http) = {get: "/v1/body/${name}" response_body: "${name}"};
            }`,
        )
        .join("\n")}
      rpc Download(Request) returns (google.api.HttpBody) {
        option (google.api.http) = {get: "/v1/files/{name}"};
      }
      rpc File(Request) returns (Response) {
        option (google.api.http) = {get: "/v1/file" response_body: "file"};
      }
      rpc Headers(Request) returns (Response) { option (google.api.http) = {get: "/v1/headers"}; }
    }`);
  const leaf = messageOf(registry, "Leaf");
  server = await startRest({
    registry: createRegistry(leaf),
    routes: (router) =>
      router.service(serviceOf(registry), {
        get: () => ({ ...answer, any: anyPack(leaf, create(leaf, { name: "packed" } as never)) }),
        post: () => answer,
        ...Object.fromEntries(fields.map((_, index) => [`body${index}`, () => answer])),
        download: ({ name }: { name: string }) => ({
          contentType: name === "none" ? "" : name === "text" ? "text/plain" : "image/png",
          data: Buffer.from(name.repeat(1_000)),
        }),
        file: () => answer,
        headers(_request: unknown, { responseHeader, responseTrailer }: HandlerContext) {
          responseHeader.set("x-one", "1");
          responseHeader.append("set-cookie", "a=1");
          responseHeader.append("set-cookie", "b=2");
          responseHeader.set("cache-control", "public, max-age=60");
          responseHeader.set("etag", '"own"');
          responseHeader.set("content-length", "3");
          responseHeader.set("content-type", "text/plain");
          responseTrailer.set("x-two", "2");
          return { text: "a" };
        },
      } as never),
  });
});
afterAll(() => server.close());

describe("a response", () => {
  it("omits defaults", async () => {
    answer = { text: "", number: 0, tags: [], color: 0, leaf: {} };
    const response = await server.send("POST /v1/all {}");
    expect(response.json).toEqual({ leaf: {} });
    expect(response.headers["content-type"]).toBe("application/json; charset=utf-8");
    expect(response.headers["cache-control"]).toBe("no-store");
  });

  it("knows the types that are packed in it", async () => {
    answer = {};
    const { json } = await server.send("GET /v1/all");
    const any = { "@type": "type.googleapis.com/test.v1.Leaf", name: "packed" };
    expect(json).toEqual({ any });
  });

  it.each(fields)("with a %s as response_body", async (_type, name, unset, value, json) => {
    answer = {};
    expect((await server.send(`GET /v1/body/${name}`)).json).toEqual(unset);
    answer = { [name]: value } as never;
    expect((await server.send(`GET /v1/body/${name}`)).json).toEqual(json);
  });

  it("may be raw bytes", async () => {
    const image = await server.send("GET /v1/files/%00%ff".replace("%ff", "x"));
    expect(image.headers["content-type"]).toBe("image/png");
    expect(image.bytes).toEqual(Buffer.from("\0x".repeat(1_000)));
    const unknown = await server.send("GET /v1/files/none");
    expect(unknown.headers["content-type"]).toBe("application/octet-stream");
  });

  it("may be raw bytes in a field, which may be unset", async () => {
    answer = { file: { contentType: "text/csv", data: Buffer.from("a,b") } } as never;
    const file = await server.send("GET /v1/file");
    expect([file.headers["content-type"], file.text]).toEqual(["text/csv", "a,b"]);
    answer = {};
    const empty = await server.send("GET /v1/file");
    expect([empty.status, empty.text]).toEqual([200, ""]);
  });

  it("has the headers and trailers of the handler, but for those of the message", async () => {
    const { headers, json } = await server.send("GET /v1/headers");
    expect(headers).toMatchObject({
      "x-one": "1",
      "x-two": "2",
      "set-cookie": ["a=1", "b=2"],
      "cache-control": "public, max-age=60",
      etag: '"own"',
      "content-type": "application/json; charset=utf-8",
    });
    expect(json).toEqual({ text: "a" });
  });

  it("that cannot be written is an internal error", async () => {
    answer = { number: "not a number" };
    const response = await server.send("POST /v1/all {}");
    expect(response.status).toBe(500);
    expect(response.json).toEqual({ code: 13, message: "internal error", details: [] });
  });
});

describe("a GET", () => {
  it("has a strong tag that only depends on the message", async () => {
    answer = { counts: { a: 1, b: 2 }, struct: { x: 1, y: { z: 2, w: 3 } } };
    const one = await server.send("GET /v1/all");
    expect(one.headers.etag).toMatch(/^"[\w-]{20,}"$/);
    expect(one.headers["cache-control"]).toBe("private, no-cache");
    answer = { struct: { y: { w: 3, z: 2 }, x: 1 }, counts: { b: 2, a: 1 } };
    const other = await server.send("GET /v1/all");
    expect(other.headers.etag).toBe(one.headers.etag);
    expect(other.text).toBe(one.text);
    answer = { counts: { a: 1, b: 3 }, struct: { x: 1, y: { z: 2, w: 3 } } };
    expect((await server.send("GET /v1/all")).headers.etag).not.toBe(one.headers.etag);
  });

  it("of raw bytes has one too", async () => {
    const one = await server.send("GET /v1/files/a");
    expect(one.headers.etag).toMatch(/^"[\w-]{20,}"$/);
    expect((await server.send("GET /v1/files/b")).headers.etag).not.toBe(one.headers.etag);
  });

  it.each(["GET", "HEAD"])("with If-None-Match is answered with 304 (%s)", async (method) => {
    answer = { text: "a" };
    const { headers } = await server.send("GET /v1/all");
    const etag = headers.etag ?? "";
    for (const condition of [
      etag,
      `W/${etag}`,
      `"x", ${etag}`,
      "*",
      etag.replace(/"$/, '-gzip"'),
    ]) {
      const fresh = await server.send({
        method,
        path: "/v1/all",
        headers: { "if-none-match": condition },
      });
      expect([condition, fresh.status, fresh.text]).toEqual([condition, 304, ""]);
      expect(fresh.headers.etag).toBe(etag);
      expect(fresh.headers["cache-control"]).toBe("private, no-cache");
    }
    for (const condition of ['"x"', "x", etag.slice(1, -1), '"x', ""]) {
      const stale = await server.send({
        method,
        path: "/v1/all",
        headers: { "if-none-match": condition },
      });
      expect([condition, stale.status]).toEqual([condition, 200]);
    }
  });

  it("has no tag where it fails, and other methods have none", async () => {
    expect((await server.send("POST /v1/all {}")).headers.etag).toBeUndefined();
    expect((await server.send("GET /v1/body/nothing")).headers.etag).toBeUndefined();
  });
});

describe("compression", () => {
  const long = { text: "word ".repeat(1_000) };
  const accept = (encoding: string) => ({
    path: "/v1/all",
    headers: { "accept-encoding": encoding },
  });

  it.each([
    ["gzip", "gzip"],
    ["br", "br"],
    ["gzip, deflate, br", "br"],
    ["gzip;q=1, br;q=0.5", "gzip"],
    ["br;q=0, gzip", "gzip"],
    ["GZIP", "gzip"],
    ["*", "br"],
    ["*, br;q=0", "gzip"],
    ["identity", undefined],
    ["deflate", undefined],
    ["br;q=0, gzip;q=0", undefined],
    ["", undefined],
  ])("for Accept-Encoding: %s is %s", async (encoding, expected) => {
    answer = long;
    const plain = await server.send("GET /v1/all");
    const response = await server.send(accept(encoding));
    expect(response.headers["content-encoding"]).toBe(expected);
    expect(response.headers.vary).toBe("Accept-Encoding");
    const decode = {
      gzip: gunzipSync,
      br: brotliDecompressSync,
      undefined: (bytes: Buffer) => bytes,
    };
    const bytes = decode[expected as "gzip" | "br" | "undefined"](response.bytes);
    expect(JSON.parse(bytes.toString())).toEqual(plain.json);
  });

  it("gives each coding a tag of its own, and 304 for all of them", async () => {
    answer = long;
    const tags = new Set<string | undefined>();
    for (const encoding of ["identity", "gzip", "br"]) {
      const { headers } = await server.send(accept(encoding));
      tags.add(headers.etag);
      const condition = { ...accept(encoding).headers, "if-none-match": headers.etag ?? "" };
      expect((await server.send({ path: "/v1/all", headers: condition })).status).toBe(304);
    }
    expect(tags.size).toBe(3);
  });

  it("spares short answers and what is compressed already", async () => {
    answer = { text: "short" };
    expect((await server.send(accept("gzip"))).headers["content-encoding"]).toBeUndefined();
    const image = await server.send({ ...accept("gzip"), path: "/v1/files/png" });
    expect(image.headers["content-encoding"]).toBeUndefined();
    const text = await server.send({ ...accept("gzip"), path: "/v1/files/text" });
    expect(gunzipSync(text.bytes).toString()).toBe("text".repeat(1_000));
  });
});
