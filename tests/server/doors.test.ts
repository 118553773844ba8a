import { create, type MessageShape } from "@bufbuild/protobuf";
import { createClient, type HandlerContext } from "@connectrpc/connect";
import { createConnectTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import { Metadata, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  ChatService,
  ListModelsRequestSchema,
  SendMessageRequestSchema,
  type SendMessageResponseSchema,
} from "../../gen/tribe/v1/chat_pb.js";
import { callKey } from "../../src/rpc/call.ts";
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

test("REST answers browsers of the origins that are named, and of no others", async () => {
  const origin = "https://app.example.com";
  const open = await startDoors({ server: { corsOrigins: [origin] } });
  const closed = await startDoors();
  const url = "/api/v1/models";
  const preflight = { "access-control-request-method": "GET" };
  const allowed = async (doors: Doors, method: string, from: string) => {
    const headers = { origin: from, ...(method === "OPTIONS" ? preflight : {}) };
    const response = await fetch(doors.httpUrl + url, { method, headers });
    return response.headers.get("access-control-allow-origin");
  };
  expect(await allowed(open, "GET", origin)).toBe(origin);
  expect(await allowed(open, "OPTIONS", origin)).toBe(origin);
  expect(await allowed(open, "GET", "https://other.example.com")).toBeNull();
  expect(await allowed(closed, "GET", origin)).toBeNull();
  expect(await allowed(closed, "OPTIONS", origin)).toBeNull();
  await open.close();
  await closed.close();
});

test("a trusted proxy says who calls, on every door, and nobody else does", async () => {
  const addresses: (string | undefined)[] = [];
  const options = (trustedProxies: string[]) => ({
    server: { trustedProxies },
    chat: {
      listModels(_: unknown, { values }: HandlerContext) {
        addresses.push(values.get(callKey)?.address);
        return {};
      },
    },
  });
  const forwarded = { "x-forwarded-for": "198.51.100.1, 203.0.113.9" };
  for (const trusted of [["127.0.0.0/8"], []]) {
    const own = await startDoors(options(trusted));
    await fetch(`${own.httpUrl}/api/v1/models`, { headers: forwarded });
    await fetch(`${own.httpUrl}/tribe.v1.ChatService/ListModels`, {
      method: "POST",
      headers: { ...forwarded, "content-type": "application/json" },
      body: "{}",
    });
    const metadata = new Metadata();
    metadata.set("x-forwarded-for", forwarded["x-forwarded-for"]);
    const client = createGrpcClient(ChatService, own.grpcAddress);
    await new Promise<void>((resolve, reject) => {
      client["ListModels"]!(
        create(ListModelsRequestSchema),
        metadata,
        (error: ServiceError | null) => (error ? reject(error) : resolve()),
      );
    });
    client.close();
    await own.close();
  }
  const [stranger, loopback] = ["203.0.113.9", "127.0.0.1"];
  expect(addresses).toEqual([stranger, stranger, stranger, loopback, loopback, loopback]);
});
