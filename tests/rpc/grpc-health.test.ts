/** grpc.health.v1, as load balancers ask for it. */
import { create } from "@bufbuild/protobuf";
import { status, type ClientReadableStream, type ServiceError } from "@grpc/grpc-js";
import { afterEach, beforeEach, expect, test } from "vitest";
import {
  Health,
  HealthCheckRequestSchema,
  HealthListRequestSchema,
  type HealthCheckResponse,
  type HealthListResponse,
} from "../../gen/grpc/health/v1/health_pb.js";
import { startDoors, type Doors } from "../support/doors.ts";
import { eventually, until } from "../support/eventually.ts";
import { createGrpcClient, type GrpcClient } from "../support/grpc-client.ts";

const [serving, notServing, serviceUnknown] = [1, 2, 3];
let works: boolean;
let doors: Doors;
let client: GrpcClient;
beforeEach(async () => {
  works = true;
  const check = async () => {
    if (!works) throw new Error("refused");
  };
  doors = await startDoors({ checks: [{ name: "postgres", essential: true, check }] });
  client = createGrpcClient(Health, doors.grpcAddress);
});
afterEach(async () => {
  client.close();
  await doors.close();
});

function check(service: string): Promise<{ status?: number; error?: ServiceError }> {
  return new Promise((resolve) => {
    client["Check"]!(
      create(HealthCheckRequestSchema, { service }),
      (error: ServiceError | null, response: HealthCheckResponse) =>
        resolve(error ? { error } : { status: response.status }),
    );
  });
}
function watch(service: string) {
  const statuses: number[] = [];
  const stream: ClientReadableStream<HealthCheckResponse> = client["Watch"]!(
    create(HealthCheckRequestSchema, { service }),
  );
  stream.on("data", (response: HealthCheckResponse) => statuses.push(response.status));
  stream.on("error", () => {});
  return { statuses, stream };
}

test.each(["", "tribe.v1.ChatService", "tribe.v1.HealthService"])(
  "tells of %j whether traffic should come",
  async (service) => {
    expect(await check(service)).toEqual({ status: serving });
    works = false;
    await eventually(async () => expect(await check(service)).toEqual({ status: notServing }));
    works = true;
    await eventually(async () => expect(await check(service)).toEqual({ status: serving }));
  },
);

test("a service that is not served is NOT_FOUND", async () => {
  const { error } = await check("tribe.v1.Nothing");
  expect(error).toMatchObject({
    code: status.NOT_FOUND,
    details: "service tribe.v1.Nothing does not exist",
  });
});

test("lists all services", async () => {
  const { statuses } = await new Promise<HealthListResponse>((resolve, reject) => {
    client["List"]!(
      create(HealthListRequestSchema),
      (error: ServiceError | null, response: HealthListResponse) =>
        error ? reject(error) : resolve(response),
    );
  });
  expect(Object.keys(statuses).sort()).toEqual([
    "",
    "tribe.v1.ChatService",
    "tribe.v1.HealthService",
  ]);
  expect(Object.values(statuses)).toMatchObject(
    Array.from({ length: 3 }, () => ({ status: serving })),
  );
});

test("watchers are told of every change, once", async () => {
  const { statuses, stream } = watch("tribe.v1.ChatService");
  await until(() => statuses.length === 1);
  works = false;
  await until(() => statuses.length === 2);
  works = true;
  await until(() => statuses.length === 3);
  expect(statuses).toEqual([serving, notServing, serving]);
  stream.cancel();
  await eventually(() =>
    expect(doors.log).toContainEqual(
      expect.objectContaining({ rpc: "grpc.health.v1.Health/Watch", code: "CANCELLED" }),
    ),
  );
});

test("watchers of what is not served stay, and are told so", async () => {
  const { statuses, stream } = watch("tribe.v1.Nothing");
  await until(() => statuses.length === 1);
  works = false;
  await until(() => !doors.health.readiness.isReady());
  expect(statuses).toEqual([serviceUnknown]);
  stream.cancel();
});

test("a process that shuts down says so to watchers and ends their streams", async () => {
  const { statuses, stream } = watch("");
  await until(() => statuses.length === 1);
  const ended = new Promise((resolve) => stream.on("end", resolve));
  doors.health.drain();
  await ended;
  expect(statuses).toEqual([serving, notServing]);
});
