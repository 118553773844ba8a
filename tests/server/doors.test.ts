import { create, type MessageShape } from "@bufbuild/protobuf";
import { createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import type { ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  ChatService,
  SendMessageRequestSchema,
  type SendMessageResponseSchema,
} from "../../gen/tribe/v1/chat_pb.js";
import { startDoors, type Doors } from "../support/doors.ts";
import { createGrpcClient } from "../support/grpc-client.ts";

let doors: Doors;
beforeAll(async () => {
  doors = await startDoors();
});
afterAll(() => doors.close());

const hello = { content: [{ part: { case: "text" as const, value: "Hello" } }], model: "m" };

test("answers the same over Connect, gRPC-Web and gRPC", async () => {
  const options = { baseUrl: doors.httpUrl, httpVersion: "1.1" as const };
  for (const transport of [createConnectTransport(options), createGrpcWebTransport(options)]) {
    const client = createClient(ChatService, transport);
    expect(await client.sendMessage(hello)).toMatchObject({ model: "m", provider: "double" });
    const pieces = [];
    for await (const event of client.streamMessage(hello)) pieces.push(event.sequence);
    expect(pieces).toEqual([1n, 2n, 3n]);
  }
  const client = createGrpcClient(ChatService, doors.grpcAddress);
  const response = await new Promise<MessageShape<typeof SendMessageResponseSchema>>(
    (resolve, reject) => {
      client["SendMessage"]!(
        create(SendMessageRequestSchema, hello),
        (error: ServiceError | null, value: MessageShape<typeof SendMessageResponseSchema>) =>
          error ? reject(error) : resolve(value),
      );
    },
  );
  expect(response).toMatchObject({ model: "m", provider: "double" });
  client.close();
});
