import { Validator } from "@seriousme/openapi-schema-validator";
import { beforeAll, describe, expect, it } from "vitest";
import type { Document, Operation } from "../../src/openapi/index.ts";
import { documentOf, operationOf } from "./support/contract.ts";

let document: Document;
const at = (place: string): Operation => operationOf(document, place);
const parameters = (place: string) =>
  (at(place).parameters ?? []).map(({ in: where, name }) => `${where} ${name}`);
const fieldParameters = (place: string) =>
  parameters(place).filter((parameter) => !parameter.startsWith("header"));

beforeAll(() => {
  document = documentOf(
    `
    // Things, and what can be done with them.
    service ThingService {
      // Gives a \`thing\`. Never fails.
      //
      // Really.
      // buf:lint:ignore SOMETHING
      rpc Get(GetRequest) returns (Thing) {
        option (google.api.http) = {
          get: "/v1/things/{thing_id}"
          additional_bindings {get: "/v1/{shelf=shelves/*/things/*}"}
          additional_bindings {get: "/v1/all/{thing_id}/{shelf=**}"}
        };
      }
      rpc Update(UpdateRequest) returns (Thing) {
        option (google.api.http) = {patch: "/v1/things/{thing.thing_id}" body: "thing"};
      }
      rpc Act(ActRequest) returns (Thing) {
        option (google.api.http) = {
          post: "/v1/things/{thing_id}:act" body: "*" response_body: "tags"
        };
        option deprecated = true;
      }
      rpc Watch(GetRequest) returns (stream Event) {
        option (google.api.http) = {get: "/v1/things/{thing_id}:watch"};
        option (tribe.rest.v1.stream) = {
          event_id_field: "sequence" event_name_oneof: "event" last_event_id_field: "after"
        };
      }
      rpc Pour(stream Thing) returns (Thing) {
        option (google.api.http) = {post: "/v1/things:pour" body: "*"};
      }
      rpc Download(GetRequest) returns (google.api.HttpBody) {
        option (google.api.http) = {get: "/v1/things/{thing_id}:download"};
      }
      rpc Upload(google.api.HttpBody) returns (Thing) {
        option (google.api.http) = {custom: {kind: "PUT" path: "/v1/*/things"} body: "*"};
      }
      rpc Purge(GetRequest) returns (google.protobuf.Empty) {
        option (google.api.http) = {custom: {kind: "PURGE" path: "/v1/things/{thing_id}"}};
      }
      rpc Unrouted(GetRequest) returns (Thing);
    }
    service OtherService {
      rpc Get(OtherRequest) returns (Thing) {option (google.api.http) = {get: "/v1/other"};}
    }
    service NoteService {
      rpc GetNote(NoteRequest) returns (Note) {
        option (google.api.http) = {get: "/v1/notes/{note_id}"};
      }
      rpc PutNote(PutNoteRequest) returns (Note) {
        option (google.api.http) = {put: "/v1/notes/{note.note_id}" body: "note"};
      }
      rpc DeleteNote(NoteRequest) returns (google.protobuf.Empty) {
        option (google.api.http) = {
          delete: "/v1/notes/{note_id}"
          additional_bindings {delete: "/v1/drafts/{note_id}"}
        };
      }
    }
    message Note { string note_id = 1; string etag = 2; }
    message NoteRequest { string note_id = 1; }
    message PutNoteRequest { Note note = 1; }
    message Thing {
      // Which thing.
      string thing_id = 1 [(buf.validate.field).string.uuid = true];
      repeated string tags = 2;
      google.protobuf.StringValue label = 3;
    }
    message GetRequest {
      string thing_id = 1 [(buf.validate.field).string.uuid = true];
      string shelf = 2;
      int64 after = 3;
    }
    message UpdateRequest {
      Thing thing = 1 [(buf.validate.field).required = true];
      google.protobuf.FieldMask update_mask = 2;
    }
    message ActRequest {
      string thing_id = 1 [(buf.validate.field).string.uuid = true];
      string act = 2 [(buf.validate.field).string.min_len = 1];
    }
    message Event {
      int64 sequence = 1;
      oneof event { Thing thing_made = 2; bool done = 3; }
    }
    message OtherRequest {
      Filter filter = 1 [(buf.validate.field).required = true];
      repeated Kind kinds = 2;
      repeated Filter not_a_parameter = 3;
      map<string, string> nor_this = 4;
      google.protobuf.Struct nor_that = 5;
      google.protobuf.Timestamp since = 6;
      oneof by { string name = 7; int32 number = 8; }
      enum Kind { KIND_UNSPECIFIED = 0; KIND_ONE = 1; }
      message Filter { string text = 1 [(buf.validate.field).string.min_len = 1]; Filter or = 2; }
    }`,
    {
      responseHeaders: { "x-id": { description: "An id.", schema: { type: "string" } } },
      securitySchemes: { key: { type: "apiKey", in: "header", name: "x-key" } },
      notesOn: ({ name }) =>
        name === "Get"
          ? { security: [] }
          : {
              security: [{ key: [] }],
              description: "Needs a key.",
              extensions: { "x-permission": `thing:${name}` },
              ...(name === "Update"
                ? { example: { thing: { tags: ["a"] }, updateMask: "tags" } }
                : {}),
            },
    },
  );
});

it("is a valid OpenAPI document", async () => {
  const result = await new Validator().validate({ ...document });
  expect(result).toEqual({ valid: true });
});

it("takes summary and description from comments, tags from services", () => {
  expect(at("GET /v1/things/{thing_id}")).toMatchObject({
    operationId: "ThingService_Get",
    summary: "Gives a thing",
    description: "Gives a `thing`. Never fails.\n\nReally.",
    tags: ["Thing"],
    security: [],
    "x-rpc": "test.v1.ThingService/Get",
  });
  expect(document.tags).toEqual([
    { name: "Thing", description: "Things, and what can be done with them." },
    { name: "Other" },
    { name: "Note" },
  ]);
});

it("calls operations as their RPCs, and tells bindings and namesakes apart", () => {
  expect(at("GET /v1/shelves/{shelf_1}/things/{shelf_2}").operationId).toBe("ThingService_Get_2");
  expect(at("GET /v1/all/{thing_id}/{shelf}").operationId).toBe("ThingService_Get_3");
  expect(at("GET /v1/other").operationId).toBe("OtherService_Get");
  expect(at("POST /v1/things/{thing_id}:act")).toMatchObject({
    operationId: "Act",
    deprecated: true,
  });
});

it("gives a path its first names, whatever later rules call the variable", () => {
  expect(at("PATCH /v1/things/{thing_id}").parameters?.[0]).toEqual({
    name: "thing_id",
    in: "path",
    required: true,
    description: "Which thing.",
    schema: { type: "string", format: "uuid" },
    example: "01980000-0000-7000-8000-000000000000",
  });
});

it("keeps methods that OpenAPI has no place for as an extension", () => {
  const extra = document.paths["/v1/things/{thing_id}"]?.["x-additionalOperations"];
  expect(extra).toMatchObject({ PURGE: { operationId: "Purge" } });
});

it("leaves out methods without a rule", () => {
  expect(JSON.stringify(document)).not.toContain("Unrouted");
});

describe("parameters", () => {
  it("are what neither path nor body sets, by dotted names, but no maps and messages", () => {
    expect(fieldParameters("GET /v1/other")).toEqual([
      "query filter.text",
      "query kinds",
      "query since",
      "query name",
      "query number",
    ]);
    expect(fieldParameters("PATCH /v1/things/{thing_id}")).toEqual([
      "path thing_id",
      "query updateMask",
    ]);
    expect(fieldParameters("POST /v1/things/{thing_id}:act")).toEqual(["path thing_id"]);
    expect(fieldParameters("GET /v1/shelves/{shelf_1}/things/{shelf_2}")).toEqual([
      "path shelf_1",
      "path shelf_2",
      "query thingId",
      "query after",
    ]);
  });

  it("are required where a request without them is refused", () => {
    const required = at("GET /v1/other").parameters?.filter((parameter) => parameter.required);
    expect(required).toEqual([
      {
        name: "filter.text",
        in: "query",
        required: true,
        schema: { type: "string", minLength: 1 },
        example: "text",
      },
    ]);
  });

  it("take the Last-Event-ID where the method has a field for it", () => {
    expect(parameters("GET /v1/things/{thing_id}:watch")).toContain("header Last-Event-ID");
  });
});

describe("bodies", () => {
  it("lack the fields that the path sets, also inside of a field", () => {
    expect(at("POST /v1/things/{thing_id}:act").requestBody).toEqual({
      required: true,
      content: {
        "application/json": {
          schema: {
            type: "object",
            properties: { act: { type: "string", minLength: 1 } },
            required: ["act"],
          },
          example: { act: "act" },
        },
      },
    });
    expect(at("PATCH /v1/things/{thing_id}").requestBody?.content["application/json"]).toEqual({
      schema: {
        type: "object",
        properties: {
          tags: { type: "array", items: { type: "string" } },
          label: { type: ["string", "null"] },
        },
      },
      example: { tags: ["a"] },
    });
  });

  it("are lines of JSON for streams, and anything for HttpBody", () => {
    const pour = at("POST /v1/things:pour").requestBody?.content["application/x-ndjson"];
    expect(pour?.schema).toEqual({ $ref: "#/components/schemas/Thing" });
    expect(at("PUT /v1/{segment_2}/things").requestBody?.content).toEqual({ "*/*": {} });
  });
});

describe("responses", () => {
  it("are messages, or the field that is the body", () => {
    expect(at("GET /v1/other").responses["200"]).toMatchObject({
      headers: { "x-id": { $ref: "#/components/headers/x-id" } },
      content: { "application/json": { schema: { $ref: "#/components/schemas/Thing" } } },
    });
    expect(at("POST /v1/things/{thing_id}:act").responses["200"]).toMatchObject({
      content: { "application/json": { schema: { type: "array", items: { type: "string" } } } },
    });
  });

  it("are lines of JSON or events for streams", () => {
    const event = { $ref: "#/components/schemas/Event" };
    const error = { properties: { error: { $ref: "#/components/schemas/Status" } } };
    expect(at("GET /v1/things/{thing_id}:watch").responses["200"]).toMatchObject({
      description: expect.stringMatching(/`id:` is its `sequence`.*`thing_made`, `done`/),
      content: {
        "application/x-ndjson": { schema: { anyOf: [event, error] } },
        "text/event-stream": { schema: event },
      },
    });
  });

  it("are anything for HttpBody", () => {
    const response = at("GET /v1/things/{thing_id}:download").responses["200"];
    expect(response).toMatchObject({ content: { "*/*": {} } });
  });

  it("share errors: google.rpc.Status with its details", () => {
    expect(Object.keys(at("GET /v1/other").responses)).toEqual(["200", "304", "400", "default"]);
    const act = at("POST /v1/things/{thing_id}:act").responses;
    expect(Object.keys(act)).toEqual(["200", "400", "401", "403", "404", "default"]);
    expect(act["default"]).toEqual({ $ref: "#/components/responses/Error" });
    expect(document.components.schemas["ErrorInfo"]).toMatchObject({
      properties: { "@type": { const: "type.googleapis.com/google.rpc.ErrorInfo" } },
      required: ["@type"],
    });
  });
});

describe("conditions", () => {
  it("are on the tags of what is read", () => {
    const get = at("GET /v1/things/{thing_id}");
    expect(parameters("GET /v1/things/{thing_id}")).toContain("header If-None-Match");
    expect(get.responses["304"]).toMatchObject({ headers: { etag: { schema: {} } } });
    expect(parameters("GET /v1/things/{thing_id}:watch")).not.toContain("header If-None-Match");
  });

  it("are on the state of what is changed, where it has an etag", () => {
    expect(parameters("PUT /v1/notes/{note_id}")).toEqual(["path note_id", "header If-Match"]);
    expect(at("PUT /v1/notes/{note_id}").responses).toHaveProperty("412");
    expect(parameters("DELETE /v1/notes/{note_id}")).toEqual(["path note_id", "header If-Match"]);
    expect(parameters("DELETE /v1/drafts/{note_id}")).toEqual(["path note_id"]);
    expect(at("PATCH /v1/things/{thing_id}").responses).not.toHaveProperty("412");
  });
});

it("says what a method needs", () => {
  expect(at("POST /v1/things/{thing_id}:act")).toMatchObject({
    security: [{ key: [] }],
    description: "Needs a key.",
    "x-permission": "thing:Act",
  });
});

it("refuses two rules that are one to OpenAPI", () => {
  const rules = `
    service TestService {
      rpc One(Request) returns (Request) {option (google.api.http) = {get: "/v1/{name}"};}
      rpc All(Request) returns (Request) {option (google.api.http) = {get: "/v1/{name=**}"};}
    }
    message Request { string name = 1; }`;
  expect(() => documentOf(rules)).toThrow(
    "test.v1.TestService/All: GET /v1/{name} is also test.v1.TestService/One to OpenAPI",
  );
});
