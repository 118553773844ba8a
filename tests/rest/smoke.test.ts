import { afterAll, beforeAll, expect, it } from "vitest";
import { compileProto, serviceOf } from "./support/proto.ts";
import { startRest, type TestServer } from "./support/server.ts";

let server: TestServer;

beforeAll(async () => {
  const registry = compileProto(`
    message Request { string name = 1; int32 number = 2; repeated string tags = 3; }
    message Event { int32 sequence = 1; oneof event { string text_delta = 2; bool done = 3; } }
    service TestService {
      rpc Get(Request) returns (Request) { option (google.api.http) = {get: "/v1/{name}"}; }
      rpc Put(Request) returns (Request) {
        option (google.api.http) = {put: "/v1/{name}" body: "*"};
      }
      rpc Watch(Request) returns (stream Event) {
        option (google.api.http) = {get: "/v1/{name}:watch"};
        option (tribe.rest.v1.stream) = {event_id_field: "sequence" event_name_oneof: "event"};
      }
      rpc Sum(stream Request) returns (Request) {
        option (google.api.http) = {post: "/v1/{name}:sum" body: "*"};
      }
    }`);
  server = await startRest({
    routes: (router) =>
      router.service(serviceOf(registry), {
        get: (message: never) => message,
        put: (message: never) => message,
        async *watch() {
          yield { sequence: 1, event: { case: "textDelta", value: "Hello" } };
          yield { sequence: 2, event: { case: "done", value: true } };
        },
        async sum(messages: AsyncIterable<{ number: number; name: string }>) {
          const sum = { number: 0, name: "" };
          for await (const { number, name } of messages) {
            sum.number += number;
            sum.name = name;
          }
          return sum;
        },
      } as never),
  });
});
afterAll(() => server.close());

it("serves a unary method with path, query and body", async () => {
  const got = await server.send("GET /v1/a%2Fb?number=3&tags=x&tags=y+z");
  expect(got.json).toEqual({ name: "a/b", number: 3, tags: ["x", "y z"] });
  const put = await server.send('PUT /v1/a {"name":"b","number":4}');
  expect(put.json).toEqual({ name: "a", number: 4 });
});

it("serves a server stream as lines and as events", async () => {
  const lines = await server.send("GET /v1/a:watch");
  expect(lines.text).toBe('{"sequence":1,"textDelta":"Hello"}\n{"sequence":2,"done":true}\n');
  const accept = "text/event-stream";
  const events = await server.send({ path: "/v1/a:watch", headers: { accept } });
  expect(events.text).toBe(
    'id: 1\nevent: text_delta\ndata: {"sequence":1,"textDelta":"Hello"}\n\n' +
      'id: 2\nevent: done\ndata: {"sequence":2,"done":true}\n\n',
  );
});

it("serves a client stream", async () => {
  const sum = await server.send({
    method: "POST",
    path: "/v1/a:sum",
    body: '{"number":1}\n{"number":2}',
  });
  expect(sum.json).toEqual({ name: "a", number: 3 });
});

it.each([
  ["GET /v1/%zz", 400, 3, 'path: malformed percent-encoding, or not UTF-8: "%zz"'],
  ["GET /v1/%ff", 400, 3, 'path: malformed percent-encoding, or not UTF-8: "%ff"'],
  ["GET /v2", 404, 5, 'there is no GET "/v2"'],
  ["POST /v1/a", 405, 12, 'POST is not allowed for "/v1/a": use GET, HEAD, OPTIONS, PUT'],
  ['PUT /v1/a {"number":tru}', 400, 3, 'the body is not JSON: unexpected "}" at line 1, column 14'],
  [
    'PUT /v1/a {"nmber":1}',
    400,
    3,
    'nmber: unknown field "nmber": Request takes name, number, tags',
  ],
  [
    "GET /v1/a?number=x",
    400,
    3,
    'number: expected an integer from -2147483648 to 2147483647, got "x"',
  ],
])("answers %s with a Status", async (request, status, code, message) => {
  const response = await server.send(request);
  expect(response.json).toMatchObject({ code, message });
  expect(response.status).toBe(status);
});
