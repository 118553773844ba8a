/** Server reflection, as grpcurl and buf ask for it. */
import { create, fromBinary, createFileRegistry, type MessageInitShape } from "@bufbuild/protobuf";
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from "@bufbuild/protobuf/wkt";
import type { ClientDuplexStream } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import {
  ServerReflection as ServerReflectionAlpha,
  ServerReflectionRequestSchema as ServerReflectionRequestAlphaSchema,
} from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { startDoors, type Doors } from "../support/doors.ts";
import { createGrpcClient } from "../support/grpc-client.ts";

let doors: Doors;
beforeAll(async () => {
  doors = await startDoors();
});
afterAll(() => doors.close());

const versions = {
  v1: { service: ServerReflection, request: ServerReflectionRequestSchema },
  v1alpha: { service: ServerReflectionAlpha, request: ServerReflectionRequestAlphaSchema },
};
type Version = keyof typeof versions;
type Question = NonNullable<
  MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]
>;

/** Asks all questions on one stream. */
async function ask(version: Version, ...questions: Question[]) {
  const { service, request } = versions[version];
  const client = createGrpcClient(service, doors.grpcAddress);
  const stream: ClientDuplexStream<unknown, ServerReflectionResponse> =
    client["ServerReflectionInfo"]!();
  for (const messageRequest of questions) {
    stream.write(
      create(request as typeof ServerReflectionRequestSchema, { host: "me", messageRequest }),
    );
  }
  stream.end();
  const responses: ServerReflectionResponse[] = [];
  for await (const response of stream as AsyncIterable<ServerReflectionResponse>) {
    responses.push(response);
  }
  client.close();
  return responses;
}
function filesOf(response: ServerReflectionResponse | undefined) {
  const answer = response?.messageResponse;
  if (answer?.case !== "fileDescriptorResponse") throw new Error(`no files but ${answer?.case}`);
  return answer.value.fileDescriptorProto.map((bytes) =>
    fromBinary(FileDescriptorProtoSchema, bytes),
  );
}

function importsFirst(files: FileDescriptorProto[]): FileDescriptorProto[] {
  const ordered = new Set<FileDescriptorProto>();
  const add = (file: FileDescriptorProto | undefined): void => {
    if (!file || ordered.has(file)) return;
    for (const name of file.dependency) add(files.find((other) => other.name === name));
    ordered.add(file);
  };
  files.forEach(add);
  return [...ordered];
}

test.each<Version>(["v1", "v1alpha"])(
  "%s lists what is served and nothing else",
  async (version) => {
    const [response] = await ask(version, { case: "listServices", value: "" });
    expect(response?.validHost).toBe("me");
    expect(response?.originalRequest?.host).toBe("me");
    expect(response?.messageResponse).toMatchObject({
      case: "listServicesResponse",
      value: {
        service: [
          { name: "grpc.health.v1.Health" },
          { name: "grpc.reflection.v1.ServerReflection" },
          { name: "grpc.reflection.v1alpha.ServerReflection" },
          { name: "tribe.v1.ChatService" },
          { name: "tribe.v1.HealthService" },
        ],
      },
    });
  },
);

test.each<[Question["case"], string]>([
  ["fileByFilename", "tribe/v1/chat.proto"],
  ["fileContainingSymbol", "tribe.v1.ChatService"],
  ["fileContainingSymbol", "tribe.v1.ChatService.SendMessage"],
  ["fileContainingSymbol", "tribe.v1.SendMessageRequest"],
  ["fileContainingSymbol", "tribe.v1.SendMessageRequest.model"],
  ["fileContainingSymbol", "tribe.v1.SendMessageRequest.MetadataEntry"],
  ["fileContainingSymbol", "tribe.v1.ToolChoice.choice"],
  ["fileContainingSymbol", "tribe.v1.CacheMode"],
  ["fileContainingSymbol", "tribe.v1.CACHE_MODE_BYPASS"],
  ["fileContainingSymbol", ".tribe.v1.ChatService"],
])("%s %s: the file first, then all it imports, which build", async (kind, value) => {
  for (const version of ["v1", "v1alpha"] as const) {
    const [response] = await ask(version, { case: kind, value } as Question);
    const files = filesOf(response);
    expect(files[0]?.name).toBe("tribe/v1/chat.proto");
    const names = files.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { dependency } of files) expect(names).toEqual(expect.arrayContaining(dependency));
    const registry = createFileRegistry(
      create(FileDescriptorSetSchema, { file: importsFirst(files) }),
    );
    expect(registry.getService("tribe.v1.ChatService")?.methods).toHaveLength(6);
  }
});

test.each<Version>(["v1", "v1alpha"])(
  "%s finds extensions, and the types of error details",
  async (version) => {
    const extendee = "google.protobuf.MethodOptions";
    const [policy, numbers, none, details] = await ask(
      version,
      {
        case: "fileContainingExtension",
        value: {
          $typeName: "grpc.reflection.v1.ExtensionRequest",
          containingType: extendee,
          extensionNumber: 50901,
        },
      },
      { case: "allExtensionNumbersOfType", value: extendee },
      { case: "allExtensionNumbersOfType", value: "tribe.v1.Model" },
      { case: "fileContainingSymbol", value: "google.rpc.BadRequest" },
    );
    expect(filesOf(policy)[0]?.name).toBe("tribe/v1/policy.proto");
    expect(numbers?.messageResponse).toMatchObject({
      case: "allExtensionNumbersResponse",
      value: { baseTypeName: extendee, extensionNumber: [50901, 50902, 72295728] },
    });
    expect(none?.messageResponse).toMatchObject({
      value: { baseTypeName: "tribe.v1.Model", extensionNumber: [] },
    });
    expect(filesOf(details)[0]?.name).toBe("google/rpc/error_details.proto");
  },
);

test.each<Version>(["v1", "v1alpha"])(
  "%s: a miss is an answer, and the stream goes on",
  async (version) => {
    const responses = await ask(
      version,
      { case: "fileByFilename", value: "no.proto" },
      { case: "fileContainingSymbol", value: "tribe.v1.UsageService" },
      {
        case: "fileContainingExtension",
        value: { containingType: "tribe.v1.Model", extensionNumber: 7 } as never,
      },
      { case: "allExtensionNumbersOfType", value: "tribe.v1.Nothing" },
      { case: undefined },
      { case: "fileByFilename", value: "tribe/v1/health.proto" },
    );
    expect(responses.map(({ messageResponse }) => messageResponse)).toMatchObject([
      {
        case: "errorResponse",
        value: { errorCode: 5, errorMessage: "file no.proto does not exist" },
      },
      { case: "errorResponse", value: { errorCode: 5 } },
      { case: "errorResponse", value: { errorCode: 5 } },
      { case: "errorResponse", value: { errorCode: 5 } },
      { case: "errorResponse", value: { errorCode: 3 } },
      { case: "fileDescriptorResponse" },
    ]);
  },
);

test("is on the gRPC door only", async () => {
  for (const path of [
    "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
    "/grpc.health.v1.Health/Check",
  ]) {
    const response = await fetch(doors.httpUrl + path, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "{}",
    });
    expect(response.status).toBe(404);
  }
});

test("can be switched off", async () => {
  const silent = await startDoors({ server: { reflection: false } });
  try {
    for (const { service } of Object.values(versions)) {
      const client = createGrpcClient(service, silent.grpcAddress);
      const stream: ClientDuplexStream<unknown, unknown> = client["ServerReflectionInfo"]!();
      stream.end();
      const error = await new Promise((resolve) => stream.on("error", resolve));
      expect(error).toMatchObject({ code: 12 });
      client.close();
    }
  } finally {
    await silent.close();
  }
});
