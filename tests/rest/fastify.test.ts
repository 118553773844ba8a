import { createContextKey, createContextValues, type HandlerContext } from "@connectrpc/connect";
import { fastifyConnectPlugin } from "@connectrpc/connect-fastify";
import fastify from "fastify";
import { describe, expect, it } from "vitest";
import { fastifyRest, type RestOptions } from "../../src/rest/index.ts";
import { compileProto, serviceOf } from "./support/proto.ts";
import { startRest } from "./support/server.ts";

const registry = compileProto(`
  message Request { string name = 1; }
  service TestService {
    rpc Get(Request) returns (Request) { option (google.api.http) = {get: "/v1/{name=**}"}; }
    rpc Put(Request) returns (Request) { option (google.api.http) = {put: "/v1/{name}" body: "*"}; }
    rpc Watch(Request) returns (stream Request) {
      option (google.api.http) = {get: "/v1/{name}:watch"};
    }
  }
  service Wrong {
    rpc Wrong(Request) returns (Request) { option (google.api.http) = {get: "/v1/{x}"}; }
    rpc Events(Request) returns (stream Request) {
      option (google.api.http) = {get: "/v1/events"};
      option (tribe.rest.v1.stream) = {event_id_field: "sequence"};
    }
  }`);
const routes: RestOptions["routes"] = (router) =>
  router.service(serviceOf(registry), {
    get: (request: object) => request,
    put: (request: object) => request,
    async *watch(request: object) {
      yield request;
    },
  } as never);

describe("on Fastify", () => {
  it("other routes go before, and other plugins are left alone", async () => {
    const rest = await startRest({ routes }, async (server) => {
      server.get("/docs", () => ({ docs: true }));
      server.get("/v1/own", () => ({ own: true }));
      server.post("/echo", ({ body }) => ({ body }));
      await server.register(fastifyConnectPlugin, { routes });
    });
    expect((await rest.send("GET /docs")).json).toEqual({ docs: true });
    expect((await rest.send("GET /v1/own")).json).toEqual({ own: true });
    expect((await rest.send('POST /echo {"a":1}')).json).toEqual({ body: { a: 1 } });
    expect((await rest.send('POST /test.v1.TestService/Get {"name":"a"}')).json).toEqual({
      name: "a",
    });
    expect((await rest.send("GET /v1/other")).json).toEqual({ name: "other" });
    await rest.close();
  });

  it("routes may live below a prefix", async () => {
    const server = fastify();
    await server.register(fastifyRest, { prefix: "/api", routes });
    server.get("/other/:name", ({ params }) => params);
    const get = (url: string) => server.inject({ url });
    expect((await get("/api/v1/a")).json()).toEqual({ name: "a" });
    expect((await get("/api/v1/a%2Fb/c")).json()).toEqual({ name: "a%2Fb/c" });
    expect((await get("/api/v2")).json()).toMatchObject({ code: 5 });
    expect((await get("/v1/a")).json()).toMatchObject({ statusCode: 404 });
    expect((await get("/other/x")).json()).toEqual({ name: "x" });
    await server.close();
  });

  it("hooks and their headers apply to calls, streams and errors", async () => {
    const rest = await startRest({ routes }, (server) => {
      server.addHook("onRequest", async (request, reply) => {
        reply.header("x-hook", "1");
        if (request.headers["x-refuse"] !== undefined) {
          throw Object.assign(new Error("too many"), { statusCode: 429 });
        }
      });
    });
    for (const path of ["/v1/a", "/v1/a:watch", "/v2"]) {
      expect((await rest.send({ path })).headers["x-hook"]).toBe("1");
    }
    const refused = await rest.send({ path: "/v1/a", headers: { "x-refuse": "1" } });
    expect(refused.status).toBe(429);
    expect(refused.json).toEqual({ code: 8, message: "too many", details: [] });
    await rest.close();
  });

  it("the handler knows the request", async () => {
    const key = createContextKey("none");
    const seen: unknown[] = [];
    const rest = await startRest({
      routes: (router) =>
        router.service(serviceOf(registry), {
          get(_request: unknown, context: HandlerContext) {
            const { protocolName, requestMethod, url, requestHeader, values } = context;
            seen.push(protocolName, requestMethod, new URL(url).pathname, requestHeader.get("x-a"));
            seen.push(values.get(key), context.method.name, context.service.typeName);
            return {};
          },
        } as never),
      contextValues: (request) => createContextValues().set(key, `id of ${request.method}`),
      interceptors: [
        (next) => (request) => {
          seen.push(`interceptor of ${request.method.name}`);
          return next(request);
        },
      ],
    });
    await rest.send({ path: "/v1/a%2Fb?", headers: { "x-a": "1" } });
    expect(seen).toEqual([
      "interceptor of Get",
      "rest",
      "GET",
      "/v1/a%2Fb",
      "1",
      "id of GET",
      "Get",
      "test.v1.TestService",
    ]);
    await rest.close();
  });

  it("does not start with a wrong rule or option", async () => {
    const wrong = registry.getService("test.v1.Wrong");
    const start = (name: string, options: Partial<RestOptions> = {}) =>
      startRest({
        routes(router) {
          const method = wrong?.methods.find((candidate) => candidate.name === name);
          if (method !== undefined) router.rpc(method, (() => ({})) as never);
        },
        ...options,
      });
    await expect(start("Wrong")).rejects.toThrow("test.v1.Wrong.Wrong: google.api.http: ");
    await expect(start("Events")).rejects.toThrow(
      'test.v1.Wrong.Events: tribe.rest.v1.stream: there is no "sequence"',
    );
    await expect(start("", { maxRequestBytes: 0 })).rejects.toThrow("maxRequestBytes");
    await expect(start("", { keepAliveMs: Number.NaN })).rejects.toThrow("keepAliveMs");
  });

  it("keeps a connection for the next call, unless a body was too large", async () => {
    const rest = await startRest({ routes, maxRequestBytes: 10 });
    const ok = await rest.send('PUT /v1/a {"name"');
    expect([ok.status, ok.headers.connection]).toEqual([400, "keep-alive"]);
    const large = await rest.send('PUT /v1/a {"name":"long"}');
    expect([large.status, large.headers.connection]).toEqual([413, "close"]);
    await rest.close();
  });
});
