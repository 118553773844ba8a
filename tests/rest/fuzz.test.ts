/** Thousands of random and spoilt requests to services built at run time: nothing breaks, nothing is left. */
import { create, type Message } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter, type HandlerContext } from "@connectrpc/connect";
import { expect, it } from "vitest";
import { collectRules } from "../../src/rest/index.ts";
import { eventually } from "../support/eventually.ts";
import { fuzz } from "./fuzz/fuzz.ts";
import { watchProcess } from "./fuzz/watch.ts";
import { compileProto, serviceOf } from "./support/proto.ts";
import { startRest } from "./support/server.ts";

const proto = `
  message Leaf { string id = 1; int32 number = 2; repeated string tags = 3; Leaf leaf = 4; optional bool flag = 5; string etag = 6; }
  enum Color { COLOR_UNSPECIFIED = 0; COLOR_RED = 1; COLOR_GREEN = 2; }
  message Request {
    string name = 1; string long_title = 2; int32 number = 3; int64 big = 4; bool flag = 5;
    Color color = 6; bytes raw = 7; double ratio = 8; Leaf leaf = 9; repeated string tags = 10;
    repeated int64 bigs = 11; repeated Color colors = 12; optional string note = 13;
    google.protobuf.Timestamp time = 14; google.protobuf.Duration duration = 15;
    google.protobuf.FieldMask mask = 16; google.protobuf.StringValue wrapped = 17;
    google.protobuf.UInt64Value wrapped_big = 18;
    oneof choice { string choice_text = 20; int32 choice_number = 21; Leaf choice_leaf = 22; }
    repeated Leaf leaves = 30; map<string, int64> counts = 31; google.protobuf.Struct struct = 32;
    google.protobuf.Value value = 33; google.protobuf.Any any = 34; string etag = 35;
  }
  message Upload { string name = 1; google.api.HttpBody file = 2; }
  message Event { int64 sequence = 1; oneof event { string text = 2; Leaf leaf = 3; } }
  service TestService {
    rpc Search(Request) returns (Request) { option (google.api.http) = { get: "/v1/things" }; }
    rpc Get(Request) returns (Request) { option (google.api.http) = {
      get: "/v1/{name=things/*}"
      additional_bindings { get: "/v1/{name=things/*}/numbers/{number}" }
      additional_bindings { get: "/v1/{name=files/**}" response_body: "leaf" }
    }; }
    rpc Create(Request) returns (Request) { option (google.api.http) = { post: "/v1/things" body: "*" }; }
    rpc Run(Request) returns (Request) { option (google.api.http) = { post: "/v1/{name=things/*}:run" body: "leaf" }; }
    rpc Update(Request) returns (Request) { option (google.api.http) = { patch: "/v1/{name=things/*}" body: "*" }; }
    rpc Replace(Request) returns (Leaf) { option (google.api.http) = { put: "/v1/leaves/{leaf.id}/{color}/{raw}" body: "leaf" }; }
    rpc Delete(Request) returns (google.protobuf.Empty) { option (google.api.http) = { delete: "/v1/{name=things/*}" }; }
    rpc Any(Request) returns (Request) { option (google.api.http) = { custom: { kind: "*" path: "/v1/any/*/{note}" } body: "struct" }; }
    rpc Lock(Request) returns (Request) { option (google.api.http) = { custom: { kind: "LOCK" path: "/v1/{choice_text}/**" } body: "value" }; }
    rpc Send(Upload) returns (google.api.HttpBody) { option (google.api.http) = { post: "/v1/uploads/{name}" body: "file" }; }
    rpc Echo(google.api.HttpBody) returns (google.api.HttpBody) { option (google.api.http) = { post: "/v1/echo" body: "*" }; }
    rpc Watch(Request) returns (stream Event) {
      option (google.api.http) = { get: "/v1/{name=things/*}:watch" additional_bindings { post: "/v1/{name=things/*}:watch" body: "*" } };
      option (tribe.rest.v1.stream) = { event_id_field: "sequence" event_name_oneof: "event" last_event_id_field: "big" };
    }
    rpc Download(Request) returns (stream google.api.HttpBody) { option (google.api.http) = { get: "/v1/{name=things/*}:download" }; }
    rpc Collect(stream Request) returns (Request) { option (google.api.http) = { post: "/v1/{name=things/*}:collect" body: "*" }; }
    rpc Take(stream Upload) returns (Upload) { option (google.api.http) = { put: "/v1/uploads/{name}" body: "file" }; }
    rpc Talk(stream Request) returns (stream Request) { option (google.api.http) = { post: "/v1/talk" body: "*" }; }
  }`;

type Fields = Message & Record<string, unknown>;

it("answers whatever comes", { timeout: 3_600_000 }, async () => {
  const registry = compileProto(proto);
  const service = serviceOf(registry);
  const watched = watchProcess();
  /** Calls that have begun and whose context is not aborted yet, as it is when a call is over. */
  let open = 0;
  const begin = ({ signal }: HandlerContext): void => {
    if (signal.aborted) return;
    open++;
    signal.addEventListener("abort", () => open--, { once: true });
  };
  /** Some answer with what they got, some refuse, by what they got. */
  const answer = (output: Message["$typeName"], message: Fields): Message => {
    const text = String(message["name"] ?? message["contentType"] ?? "");
    if (text.length % 7 === 6) throw new ConnectError("no luck", Code.NotFound);
    if (output === message.$typeName) return message;
    const { file, leaf } = message as { file?: Message; leaf?: Message };
    const part = [file, leaf].find((candidate) => candidate?.$typeName === output);
    const desc = registry.getMessage(output);
    if (desc === undefined) throw new Error(`no ${output}`);
    return part ?? create(desc);
  };
  const routes = (router: ConnectRouter): void => {
    for (const method of service.methods) {
      const output = method.output.typeName;
      const handlers = {
        unary(message: Fields, context: HandlerContext) {
          begin(context);
          return answer(output, message);
        },
        async *server_streaming(message: Fields, context: HandlerContext) {
          begin(context);
          for (let count = 0; count < 5; count++) yield answer(output, message);
        },
        async client_streaming(messages: AsyncIterable<Fields>, context: HandlerContext) {
          begin(context);
          let last: Message | undefined;
          for await (const message of messages) last = answer(output, message);
          return last ?? create(method.output);
        },
        async *bidi_streaming(messages: AsyncIterable<Fields>, context: HandlerContext) {
          begin(context);
          for await (const message of messages) yield answer(output, message);
        },
      };
      router.rpc(method, handlers[method.methodKind] as never);
    }
  };
  const failures: unknown[] = [];
  const server = await startRest({
    routes,
    registry,
    maxRequestBytes: 100_000,
    cors: { origins: ["https://app.example.com"] },
    ignoredQueryParameters: ["utm_*"],
    mapError(error) {
      if (error instanceof ConnectError) return error;
      failures.push(error);
      return new ConnectError("internal error", Code.Internal);
    },
  });
  const report = await fuzz({
    port: server.port,
    rules: collectRules(service.methods),
    headers: [],
    ids: [],
    // Fastify answers what is not HTTP in its own form; no plugin is asked.
    isExpected: ({ status, body }) => status < 500 && body.startsWith('{"error":'),
  });
  expect({ seed: report.seed, faults: report.faults }).toEqual({ seed: report.seed, faults: [] });
  expect(failures).toEqual([]);
  await eventually(() => expect(open).toBe(0));
  await server.close();
  expect(await watched.faults()).toEqual([]);
  for (const status of [200, 204, 400, 404, 405, 413, 415]) {
    expect(report.statuses).toHaveProperty(String(status));
  }
});
