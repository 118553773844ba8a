/** What nobody outside reaches through the real nginx, by any door and however it is written. */
import { randomUUID } from "node:crypto";
import { create, type DescMethod, getOption, hasOption } from "@bufbuild/protobuf";
import { credentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { http } from "../../gen/google/api/annotations_pb.js";
import {
  ServerReflection,
  ServerReflectionRequestSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { AdminService } from "../../gen/tribe/v1/admin_pb.js";
import { createGrpcClient } from "../support/grpc-client.ts";
import { call, callRaw, instanceOf, startEdge, type TestEdge } from "../support/nginx.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { startProgram, type TestProgram } from "../support/program.ts";

const key = "administrator-behind-the-edge";
const authorization = { authorization: `Bearer ${key}` };

let database: TestDatabase;
let program: TestProgram;
let edge: TestEdge;
let open: TestEdge;

beforeAll(async () => {
  database = await createDatabase();
  program = await startProgram({
    DATABASE_URL: database.url,
    REDIS_URL: "",
    ADMIN_API_KEY: key,
    SECRET_KEY: "a secret of the tests that is long enough",
  });
  edge = await startEdge([instanceOf(program)]);
  open = await startEdge([instanceOf(program)], { EDGE_ENABLE: "admin reflection metrics" });
});
afterAll(async () => {
  await Promise.all([edge?.close(), open?.close()]);
  await program?.close();
  await database?.close();
});

/** The routes of a method that REST has for it, with its variables filled in. */
function restOf(method: DescMethod): { method: string; path: string }[] {
  if (!hasOption(method, http)) return [];
  const rule = getOption(method, http);
  return [rule, ...rule.additionalBindings].map(({ pattern }) => ({
    method: String(pattern.case).toUpperCase(),
    path: String(pattern.value).replaceAll(/\{[^}]+\}/g, randomUUID()),
  }));
}

const rest = AdminService.methods.flatMap(restOf);
const rpcs = AdminService.methods.map(({ name }) => `/${AdminService.typeName}/${name}`);
const reflection = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/** Asks for a target as it is written, which clients would tidy up: HTTP's status, or gRPC's. */
async function ask(at: TestEdge, line: string, contentType = "application/json") {
  const fields = [
    "host: localhost",
    `authorization: Bearer ${key}`,
    `content-type: ${contentType}`,
    ...(line.startsWith("GET") ? [] : ["content-length: 2"]),
    "connection: close",
  ];
  const text = [`${line} HTTP/1.1`, ...fields, "", line.startsWith("GET") ? "" : "{}"];
  const answer = await callRaw(at, text.join("\r\n"));
  const [, status] = /^HTTP\/1\.1 (\d+)/.exec(answer) ?? [];
  const [, grpcStatus] = /^grpc-status: (\d+)/im.exec(answer) ?? [];
  return grpcStatus === undefined ? Number(status) : `grpc-status ${grpcStatus}`;
}

describe("over REST", () => {
  test.each(rest.map(({ method, path }) => `${method} ${path}`))("%s", async (line) => {
    expect(await ask(edge, line)).toBe(404);
    expect(await ask(open, line)).not.toBe(404);
  });

  // nginx compares the path as it understands it, and passes it on as it was written.
  test.each([
    "/metrics",
    "//metrics",
    "/%6Detrics",
    "/api/v1//settings",
    "/api/v1/./settings",
    "/x/../api/v1/settings",
    "/api/v1/%73ettings",
    "/api/v1/%2573ettings",
    "/api%2Fv1%2Fsettings",
    "/api/v1/settings/",
    "/api/v1/settings%2F",
    "/api/v1/settings.",
    "/api/v1/settings%20",
    "/api/v1/settings%0A",
    "/api/v1/settings%23",
    "/api/v1/settings%3Fx",
    "/api/v1/settings;x",
    "/api/v1/settings/../models",
    "/api/v1/models/..%2Fsettings",
    "/api/v1/Settings",
    "/API/v1/settings",
    "/api/v1\\settings",
    "/api/v1/audit-events%3Averify",
    "https://localhost/api/v1/settings",
  ])("GET %s", async (target) => {
    expect(await ask(edge, `GET ${target}`)).toBe(404);
  });

  test("what hides it says so in Tribe's words", async () => {
    const answer = await call(edge, "/api/v1/settings", { headers: authorization });
    expect(JSON.parse(answer.body)).toMatchObject({ code: 5, message: "this path does not exist" });
  });
});

describe.each([
  ["Connect", "application/json", 404],
  ["Connect", "application/proto", 404],
  ["Connect", "application/connect+json", 404],
  ["gRPC-Web", "application/grpc-web+proto", "grpc-status 12"],
  ["gRPC-Web", "application/grpc-web-text", "grpc-status 12"],
  ["gRPC", "application/grpc", "grpc-status 12"],
  ["gRPC", "Application/GRPC+proto", "grpc-status 12"],
])("over %s (%s)", (_, contentType, hidden) => {
  test.each([...rpcs, reflection])("POST %s", async (path) => {
    expect(await ask(edge, `POST ${path}`, contentType)).toBe(hidden);
  });

  test.each([
    "//tribe.v1.AdminService/GetSettings",
    "/tribe.v1.AdminService//GetSettings",
    "/tribe.v1.AdminService%2FGetSettings",
    "/tribe%2Ev1.AdminService/GetSettings",
    "/tribe.v1.AdminService/GetSettings/",
    "/./tribe.v1.AdminService/GetSettings",
    "/x/../tribe.v1.AdminService/GetSettings",
    "/tribe.v1.AdminService./GetSettings",
    "/tribe.v1.AdminService;/GetSettings",
    "/tribe.v1.adminservice/GetSettings",
    "https://localhost/tribe.v1.AdminService/GetSettings",
  ])("POST %s", async (target) => {
    const told = await ask(edge, `POST ${target}`, contentType);
    // 415: gRPC's own server wants its content type in lower case.
    expect([404, 415, "grpc-status 12"]).toContain(told);
  });
});

test("Connect's GET", async () => {
  const path = "/tribe.v1.AdminService/GetSettings?connect=v1&encoding=json&message=%7B%7D";
  expect((await call(edge, path, { headers: authorization })).status).toBe(404);
  expect((await call(open, path, { headers: authorization })).status).toBe(200);
});

test("gRPC's own client learns that there is no reflection, unless it is enabled", async () => {
  expect(await reflect(edge)).toMatchObject({ code: 12, details: "this method does not exist" });
  expect(await reflect(open)).toBeUndefined();
});

async function reflect(at: TestEdge): Promise<unknown> {
  const secure = credentials.createSsl(Buffer.from(at.authority));
  const client = createGrpcClient(ServerReflection, at.address, {}, secure);
  const stream = client["ServerReflectionInfo"]!();
  const messageRequest = { case: "listServices", value: "" } as const;
  stream.end(create(ServerReflectionRequestSchema, { messageRequest }));
  try {
    for await (const _ of stream);
    return undefined;
  } catch (error) {
    return error;
  } finally {
    client.close();
  }
}
