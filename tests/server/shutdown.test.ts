/** How both listeners begin and end. */
import { create } from "@bufbuild/protobuf";
import { status, type ServiceError } from "@grpc/grpc-js";
import { createServer, type AddressInfo, type Server } from "node:net";
import { afterEach, expect, test } from "vitest";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { ChatService, SendMessageRequestSchema } from "../../gen/tribe/v1/chat_pb.js";
import { createMetrics } from "../../src/telemetry/metrics.ts";
import { startDoors, type Doors } from "../support/doors.ts";
import { createGrpcClient } from "../support/grpc-client.ts";
import { eventually, until } from "../support/eventually.ts";

let open: Doors[] = [];
let squatter: Server | undefined;
afterEach(async () => {
  await Promise.all(open.map((doors) => doors.close()));
  open = [];
  await new Promise((resolve) => (squatter ? squatter.close(resolve) : resolve(undefined)));
  squatter = undefined;
});
async function start(...options: Parameters<typeof startDoors>): Promise<Doors> {
  const doors = await startDoors(...options);
  open.push(doors);
  return doors;
}

const body = '{"content":[{"text":"Hello"}]}';
const headers = { "content-type": "application/json" };
const post = (doors: Doors) =>
  fetch(`${doors.httpUrl}/api/v1/chat`, { method: "POST", headers, body });

test.each([
  ["httpPort", "HTTP_PORT"],
  ["grpcPort", "GRPC_PORT"],
])("a taken %s is named, and the other listener is closed again", async (key, variable) => {
  squatter = createServer();
  await new Promise<void>((resolve) => squatter?.listen(0, "127.0.0.1", resolve));
  const { port } = squatter.address() as AddressInfo;
  await expect(startDoors({ server: { [key]: port } })).rejects.toThrow(
    `port ${port} is in use; free it or set ${variable} to another`,
  );
});

test("a taken port for metrics is named too", async () => {
  squatter = createServer();
  await new Promise<void>((resolve) => squatter?.listen(0, "127.0.0.1", resolve));
  const { port } = squatter.address() as AddressInfo;
  const metrics = { metrics: createMetrics(), port, noteUser() {} };
  await expect(startDoors({ server: { metrics } })).rejects.toThrow(
    `port ${port} is in use; free it or set METRICS_PORT to another`,
  );
});

test("all ports that are taken are named at once", async () => {
  squatter = createServer();
  await new Promise<void>((resolve) => squatter?.listen(0, "127.0.0.1", resolve));
  const { port } = squatter.address() as AddressInfo;
  await expect(startDoors({ server: { httpPort: port, grpcPort: port } })).rejects.toThrow(
    `port ${port} is in use; free it or set HTTP_PORT to another\n` +
      `port ${port} is in use; free it or set GRPC_PORT to another`,
  );
});

test("calls that end in time are answered, new connections are not taken", async () => {
  let finish: (() => void) | undefined;
  const doors = await start({
    chat: {
      sendMessage: () =>
        new Promise((resolve) => {
          finish = () => resolve({ model: "late" });
        }),
    },
    server: { drainMs: 10_000 },
  });
  const answer = post(doors);
  await until(() => finish);
  const closed = doors.close();
  await eventually(() => expect(post(doors)).rejects.toThrow("fetch failed"));
  finish?.();
  expect(await (await answer).json()).toEqual({ model: "late" });
  await closed;
});

test("calls that do not end are ended as UNAVAILABLE", async () => {
  let reached = 0;
  const doors = await start({
    chat: {
      sendMessage() {
        reached += 1;
        return new Promise(() => {});
      },
    },
    server: { drainMs: 50 },
  });
  const client = createGrpcClient(ChatService, doors.grpcAddress);
  const grpc = new Promise<ServiceError>((resolve) => {
    const request = create(SendMessageRequestSchema, {
      content: [{ part: { case: "text", value: "Hello" } }],
    });
    client["SendMessage"]!(request, resolve);
  });
  const connect = fetch(`${doors.httpUrl}/tribe.v1.ChatService/SendMessage`, {
    method: "POST",
    headers,
    body,
  });
  const rest = post(doors);
  await until(() => reached === 3);
  await doors.close();
  expect(await grpc).toMatchObject({
    code: status.UNAVAILABLE,
    details: "the server is shutting down; try again",
  });
  for (const response of [await connect, await rest]) {
    expect(response.status).toBe(503);
    expect(response.headers.get("retry-after")).toBe("1");
    expect(await response.text()).toContain("SHUTTING_DOWN");
  }
  client.close();
});

test("idle connections and watchers of health hold nothing up", async () => {
  const doors = await start({ server: { drainMs: 60_000 } });
  expect((await fetch(`${doors.httpUrl}/health/live`)).status).toBe(200);
  const client = createGrpcClient(Health, doors.grpcAddress);
  const statuses: number[] = [];
  const ended = new Promise((resolve) => {
    client["Watch"]!({ $typeName: "grpc.health.v1.HealthCheckRequest", service: "" })
      .on("data", (response: { status: number }) => statuses.push(response.status))
      .on("end", resolve);
  });
  await until(() => statuses.length === 1);
  await doors.close();
  await ended;
  expect(statuses).toEqual([1, 2]);
  client.close();
});
