import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { CorsOptions } from "../../src/rest/index.ts";
import { compileProto, serviceOf } from "./support/proto.ts";
import { startRest, type TestServer } from "./support/server.ts";

const registry = compileProto(`
  message Request { string name = 1; }
  service TestService {
    rpc Get(Request) returns (Request) { option (google.api.http) = {get: "/v1/{name}"}; }
    rpc Put(Request) returns (Request) { option (google.api.http) = {put: "/v1/{name}" body: "*"}; }
    rpc Watch(Request) returns (stream Request) {
      option (google.api.http) = {get: "/v1/{name}:watch"};
    }
  }`);

function start(cors?: CorsOptions): Promise<TestServer> {
  return startRest({
    ...(cors === undefined ? {} : { cors }),
    routes: (router) =>
      router.service(serviceOf(registry), {
        get: (request: object) => request,
        async *watch(request: object) {
          yield request;
        },
      } as never),
  });
}

const origin = "https://app.example.com";
const preflight = {
  method: "OPTIONS",
  path: "/v1/a",
  headers: {
    origin,
    "access-control-request-method": "PUT",
    "access-control-request-headers": "authorization, content-type",
  },
};

describe("CORS", () => {
  it("is off by default", async () => {
    const server = await start();
    const get = await server.send({ path: "/v1/a", headers: { origin } });
    expect(Object.keys(get.headers).filter((name) => name.startsWith("access-"))).toEqual([]);
    const options = await server.send(preflight);
    expect(options.status).toBe(204);
    expect(options.headers["access-control-allow-origin"]).toBeUndefined();
    await server.close();
  });

  it("cannot allow credentials to all origins", async () => {
    await expect(start({ origins: "*", credentials: true })).rejects.toThrow("a list of origins");
  });

  describe("for listed origins", () => {
    let server: TestServer;
    beforeAll(async () => {
      server = await start({
        origins: [origin],
        credentials: true,
        exposedHeaders: ["x-request-id", "etag"],
        maxAgeSeconds: 60,
      });
    });
    afterAll(() => server.close());

    it.each(["/v1/a", "/v1/a:watch", "/v2", "/v1/%zz"])("is on every answer: %s", async (path) => {
      const { headers } = await server.send({ path, headers: { origin } });
      expect(headers).toMatchObject({
        "access-control-allow-origin": origin,
        "access-control-allow-credentials": "true",
        "access-control-expose-headers": "x-request-id, etag",
      });
      expect(headers.vary).toContain("Origin");
    });

    it("answers a preflight", async () => {
      const { status, headers, text } = await server.send(preflight);
      expect([status, text]).toEqual([204, ""]);
      expect(headers).toMatchObject({
        "access-control-allow-origin": origin,
        "access-control-allow-methods": "GET, HEAD, OPTIONS, PUT",
        "access-control-allow-headers": "authorization, content-type",
        "access-control-max-age": "60",
        vary: "Origin, Access-Control-Request-Headers",
      });
    });

    it("says nothing to others, but that the answer depends on them", async () => {
      for (const request of [
        { path: "/v1/a", headers: { origin: "https://evil.example.com" } },
        { ...preflight, headers: { ...preflight.headers, origin: "null" } },
        { path: "/v1/a" },
      ]) {
        const { headers } = await server.send(request);
        expect(headers["access-control-allow-origin"]).toBeUndefined();
        expect(headers.vary).toBe("Origin");
      }
    });

    it("leaves an OPTIONS alone that is no preflight", async () => {
      const { status, headers } = await server.send("OPTIONS /v1/a");
      expect([status, headers.allow]).toEqual([204, "GET, HEAD, OPTIONS, PUT"]);
    });
  });

  it("may be for all origins, or as a function says", async () => {
    const all = await start({ origins: "*", allowedHeaders: ["authorization"] });
    const { headers } = await all.send(preflight);
    expect(headers["access-control-allow-origin"]).toBe("*");
    expect(headers["access-control-allow-headers"]).toBe("authorization");
    expect(headers.vary).toBeUndefined();
    await all.close();

    const some = await start({ origins: (given) => given.endsWith(".example.com") });
    const allowed = await some.send({ path: "/v1/a", headers: { origin } });
    expect(allowed.headers["access-control-allow-origin"]).toBe(origin);
    const refused = await some.send({ path: "/v1/a", headers: { origin: "https://x.org" } });
    expect(refused.headers["access-control-allow-origin"]).toBeUndefined();
    await some.close();
  });
});
