import { Code, ConnectError } from "@connectrpc/connect";
import { afterAll, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { compileProto, serviceOf } from "./support/proto.ts";
import { startRest, type TestServer, type WireResponse } from "./support/server.ts";

interface Thing {
  name: string;
  title: string;
  etag: string;
}

let things: Map<string, Thing>;
let calls: string[];
let server: TestServer;

/** Finds a thing, and compares the etag if the request has one, as a database would. */
function find(name: string, etag = ""): Thing {
  const thing = things.get(name);
  if (thing === undefined) throw new ConnectError(`no ${name}`, Code.NotFound);
  if (etag !== "" && etag !== thing.etag) throw new ConnectError("changed", Code.Aborted);
  return thing;
}

function change(name: string, title: string, etag: string): Thing {
  const thing = { ...find(name, etag), title, etag: `${title}-1` };
  things.set(name, thing);
  return thing;
}

beforeAll(async () => {
  const registry = compileProto(`
    message Thing { string name = 1; string title = 2; string etag = 3; }
    message Wrapped { Thing thing = 1; string note = 2; }
    message Name { string name = 1; }
    message NameEtag { string name = 1; string etag = 2; }
    message Plain { string name = 1; string title = 2; }
    service TestService {
      rpc Get(Name) returns (Wrapped) { option (google.api.http) = {get: "/v1/things/{name}"}; }
      rpc Patch(Wrapped) returns (Wrapped) {
        option (google.api.http) = {patch: "/v1/things/{thing.name}" body: "thing"};
      }
      rpc Put(Wrapped) returns (Wrapped) {
        option (google.api.http) = {put: "/v1/things/{thing.name}" body: "*"};
      }
      rpc Delete(Name) returns (Name) { option (google.api.http) = {delete: "/v1/things/{name}"}; }
      rpc Post(Name) returns (Name) { option (google.api.http) = {post: "/v1/things/{name}"}; }
      rpc DeleteUnread(NameEtag) returns (Name) {
        option (google.api.http) = {delete: "/v1/unread/{name}"};
      }
      rpc GetPlain(Plain) returns (Plain) { option (google.api.http) = {get: "/v1/plain/{name}"}; }
      rpc PutPlain(Plain) returns (Plain) {
        option (google.api.http) = {put: "/v1/plain/{name}" body: "*"};
      }
    }`);
  const put = ({ thing: { name, title, etag } }: { thing: Thing }) => ({
    thing: change(name, title, etag),
  });
  server = await startRest({
    routes: (router) =>
      router.service(serviceOf(registry), {
        get: ({ name }: Thing) => ({ thing: find(name), note: "note" }),
        patch: put,
        put,
        delete({ name }: Thing) {
          find(name);
          things.delete(name);
          return {};
        },
        post: () => ({}),
        deleteUnread({ name, etag }: Thing) {
          find(name, etag);
          things.delete(name);
          return {};
        },
        getPlain: (request: unknown) => request,
        putPlain: (request: unknown) => request,
      } as never),
    interceptors: [
      (next) => (request) => {
        calls.push(request.method.name);
        return next(request);
      },
    ],
  });
});
afterAll(() => server.close());
beforeEach(() => {
  things = new Map([["a", { name: "a", title: "first", etag: "first-1" }]]);
  calls = [];
});

function send(method: string, path: string, ifMatch: string, body?: object): Promise<WireResponse> {
  const headers = { "if-match": ifMatch, "content-type": "application/json" };
  return server.send(
    body === undefined
      ? { method, path, headers }
      : { method, path, headers, body: JSON.stringify(body) },
  );
}

async function currentTag(): Promise<string> {
  const { headers } = await server.send("GET /v1/things/a");
  calls = [];
  return headers.etag ?? "";
}

describe("If-Match", () => {
  it.each(["PATCH", "PUT"])("with the tag of GET lets %s pass", async (method) => {
    const tag = await currentTag();
    const body = method === "PUT" ? { thing: { title: "second" } } : { title: "second" };
    const response = await send(method, "/v1/things/a", `"x", ${tag}`, body);
    expect(response.json).toMatchObject({ thing: { title: "second", etag: "second-1" } });
    expect(calls).toEqual(["Get", method === "PUT" ? "Put" : "Patch"]);
  });

  it("with the etag field lets it pass too", async () => {
    const response = await send("PATCH", "/v1/things/a", '"first-1"', { title: "second" });
    expect(response.status).toBe(200);
  });

  it("with a coded tag lets it pass too", async () => {
    const coded = (await currentTag()).replace(/"$/, '-br"');
    expect((await send("PATCH", "/v1/things/a", coded, { title: "second" })).status).toBe(200);
  });

  it.each(['"x"', 'W/"first-1"', "", '"x", "y"'])("%s changes nothing: 412", async (tag) => {
    for (const [method, body] of [
      ["PATCH", { title: "second" }],
      ["PUT", { thing: { title: "second" } }],
      ["DELETE", undefined],
    ] as const) {
      const response = await send(method, "/v1/things/a", tag, body);
      expect([method, response.status]).toEqual([method, 412]);
      expect(response.json).toMatchObject({ code: 10 });
      expect(calls).toEqual(["Get"]);
      calls = [];
    }
    expect(things.get("a")?.title).toBe("first");
  });

  it("lets only one of two that read the same change it", async () => {
    const tag = await currentTag();
    const answers = await Promise.all(
      ["second", "third"].map((title) => send("PATCH", "/v1/things/a", tag, { title })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 412]);
  });

  it("* asks only whether it is there", async () => {
    expect((await send("PATCH", "/v1/things/a", "*", { title: "second" })).status).toBe(200);
    expect((await send("PATCH", "/v1/things/b", "*", { title: "second" })).status).toBe(404);
  });

  it("of a thing that is not there is its 404", async () => {
    expect((await send("DELETE", "/v1/things/b", '"x"')).status).toBe(404);
    expect(calls).toEqual(["Get"]);
  });

  it("guards a DELETE whose request has no etag", async () => {
    expect((await send("DELETE", "/v1/things/a", await currentTag())).status).toBe(200);
    expect(things.size).toBe(0);
  });

  it("goes to the etag field where there is no GET", async () => {
    const wrong = await send("DELETE", "/v1/unread/a", '"x"');
    expect([wrong.status, wrong.json]).toEqual([
      412,
      { code: 10, message: "changed", details: [] },
    ]);
    const several = await send("DELETE", "/v1/unread/a", '"x", "first-1"');
    expect([several.status, several.json]).toMatchObject([400, { code: 3 }]);
    expect((await send("DELETE", "/v1/unread/a", '"first-1"')).status).toBe(200);
  });

  it("must not contradict the body", async () => {
    const body = { title: "second", etag: "other" };
    expect((await send("PATCH", "/v1/things/a", '"first-1"', body)).status).toBe(412);
  });

  it("is refused where there is no etag, so that nobody is fooled", async () => {
    const response = await send("PUT", "/v1/plain/a", '"x"', { title: "second" });
    expect(response.status).toBe(400);
    expect(response.json).toMatchObject({ message: "if-match: this resource has no etag" });
  });

  it("that is malformed is refused", async () => {
    const response = await send("PATCH", "/v1/things/a", "first-1", { title: "second" });
    expect(response.json).toMatchObject({
      code: 3,
      message: expect.stringContaining("if-match: "),
    });
  });

  it("of other HTTP methods does not matter", async () => {
    expect((await send("POST", "/v1/things/a", '"x"')).status).toBe(200);
    expect((await send("GET", "/v1/things/a", '"x"')).status).toBe(200);
  });
});

it("a conflict without If-Match is 409", async () => {
  const body = JSON.stringify({ title: "second", etag: "other" });
  const response = await server.send(`PATCH /v1/things/a ${body}`);
  expect([response.status, response.json]).toMatchObject([409, { code: 10 }]);
});
