/** How a process ends: not ready first, then calls and streams, then it. */
import { once } from "node:events";
import { Agent, get, type IncomingMessage, request } from "node:http";
import { connect, type Socket } from "node:net";
import { create } from "@bufbuild/protobuf";
import type { ClientReadableStream } from "@grpc/grpc-js";
import { text } from "node:stream/consumers";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import {
  Health,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
} from "../../gen/grpc/health/v1/health_pb.js";
import { until } from "../support/eventually.ts";
import { createGrpcClient } from "../support/grpc-client.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { startProgram, type TestProgram } from "../support/program.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import type { Environment } from "../../src/config.ts";

const key = "administrator-of-the-tests";
const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
let database: TestDatabase;
let redis: TestRedis;
let provider: ProviderServer;

beforeAll(async () => {
  [database, redis, provider] = await Promise.all([
    createDatabase(),
    startRedis(),
    startProviderServer({ reply: { text: ["one ", "two ", "three"] } }),
  ]);
});
afterAll(async () => {
  await Promise.all([database?.close(), redis?.stop(), provider?.close()]);
});

async function start(environment: Environment = {}): Promise<TestProgram> {
  const program = await startProgram({
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    ADMIN_API_KEY: key,
    SECRET_KEY: "a secret of the tests that is long enough",
    OPENAI_API_KEY: "sk-test",
    OPENAI_BASE_URL: provider.openaiUrl,
    METRICS_PORT: "off",
    ...environment,
  });
  onTestFinished(() => void program.child.kill("SIGKILL"));
  return program;
}

/** Opens a stream, and gives it once its first piece is there. */
async function openStream({ baseUrl }: TestProgram, question: string) {
  const controller = new AbortController();
  const response = await fetch(`${baseUrl}/api/v1/chat:stream`, {
    method: "POST",
    headers: { ...headers, accept: "text/event-stream" },
    body: JSON.stringify({ content: [{ text: question }], cache: "CACHE_MODE_BYPASS" }),
    signal: controller.signal,
  });
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let told = "";
  async function readUntil(isEnough: () => boolean) {
    while (!isEnough()) {
      const { done, value } = await reader.read();
      if (done) break;
      told += value;
    }
    return told;
  }
  await readUntil(() => told.includes("event: text_delta"));
  const runId = /"runId":"([^"]+)"/.exec(told)?.[1] ?? "";
  return { runId, rest: () => readUntil(() => false) };
}

function ready({ baseUrl }: TestProgram): Promise<number> {
  return fetch(`${baseUrl}/health/ready`).then(({ status }) => status);
}

test("not ready first, then still serving, then closing connections, and 0 at last", async () => {
  const program = await start({ SHUTDOWN_PAUSE: "600" });
  const exited = once(program.child, "exit");
  const client = createGrpcClient(Health, program.grpcAddress);
  const statuses: number[] = [];
  const watch: ClientReadableStream<HealthCheckResponse> = client["Watch"]!(
    create(HealthCheckRequestSchema),
  );
  watch.on("data", ({ status }: HealthCheckResponse) => statuses.push(status));
  watch.on("error", () => undefined);
  await until(() => statuses.includes(1));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const ask = async () => {
    const outgoing = get(`${program.baseUrl}/api/v1/models`, { agent, headers });
    const [response] = (await once(outgoing, "response")) as [IncomingMessage];
    await text(response);
    return { status: response.statusCode, connection: response.headers.connection };
  };
  expect(await ask()).toEqual({ status: 200, connection: "keep-alive" });

  program.child.kill("SIGTERM");
  await until(async () => (await ready(program)) === 503);
  expect(await ask()).toEqual({ status: 200, connection: "close" });
  await until(() => statuses.includes(2));
  program.child.kill("SIGTERM");
  expect(await exited).toEqual([0, null]);
  agent.destroy();
  client.close();
}, 60_000);

test("a stream that can end does; one that cannot is told so, and told again elsewhere", async () => {
  const [program, other] = await Promise.all([start({ SHUTDOWN_TIMEOUT: "3" }), start()]);
  provider.script({ text: ["a ", "b ", "c ", "d "], delayMs: 300 }, { text: ["x ", "y"], hang: 2 });
  const short = await openStream(program, "short");
  const endless = await openStream(program, "endless");
  const exited = once(program.child, "exit");
  program.child.kill("SIGTERM");
  expect(await short.rest()).toContain("event: completed");
  const told = await endless.rest();
  expect(told).toContain("event: failed");
  expect(told).toContain("RUN_INTERRUPTED");
  expect(await exited).toEqual([0, null]);

  const resumed = await fetch(`${other.baseUrl}/api/v1/runs/${endless.runId}:stream`, {
    headers: { ...headers, accept: "text/event-stream" },
  });
  const again = await resumed.text();
  expect(again).toContain("event: failed");
  expect(again).toContain("RUN_INTERRUPTED");
}, 90_000);

test("a turn that had come in before the doors closed is answered, however late its question ends", async () => {
  const program = await start();
  const exited = once(program.child, "exit");
  const { hostname, port } = new URL(program.baseUrl);
  const body = JSON.stringify({ content: [{ text: "late" }], cache: "CACHE_MODE_BYPASS" });
  const outgoing = request(`${program.baseUrl}/api/v1/chat`, {
    method: "POST",
    headers: { ...headers, "content-length": String(body.length) },
  });
  outgoing.write(body.slice(0, 10));
  // Its headers have arrived once a later call is answered.
  await once(outgoing, "socket").then(([socket]) => once(socket as Socket, "connect"));
  await ready(program);
  program.child.kill("SIGTERM");
  const isOpen = async () => {
    const socket = connect(Number(port), hostname);
    const isConnected = await Promise.race([
      once(socket, "connect").then(() => true),
      once(socket, "error").then(() => false),
    ]).catch(() => false);
    socket.destroy();
    return isConnected;
  };
  await until(async () => !(await isOpen()));
  outgoing.end(body.slice(10));
  const [response] = (await once(outgoing, "response")) as [IncomingMessage];
  expect({ status: response.statusCode, body: await text(response) }).toMatchObject({
    status: 200,
    body: expect.stringContaining("FINISH_REASON_STOP") as string,
  });
  expect(await exited).toEqual([0, null]);
}, 60_000);

test("a second signal stops what runs, and still stores and tells it", async () => {
  const program = await start({ SHUTDOWN_TIMEOUT: "600", SHUTDOWN_PAUSE: "600" });
  provider.script({ text: ["x ", "y"], hang: 2 });
  const endless = await openStream(program, "endless");
  const exited = once(program.child, "exit");
  program.child.kill("SIGTERM");
  await until(async () => (await ready(program)) === 503);
  program.child.kill("SIGTERM");
  expect(await endless.rest()).toContain("RUN_INTERRUPTED");
  expect(await exited).toEqual([0, null]);
}, 60_000);

test("a third signal ends the process at once", async () => {
  const program = await start({ SHUTDOWN_TIMEOUT: "600", SHUTDOWN_PAUSE: "600" });
  provider.script({ text: ["x ", "y"], hang: 2 });
  const endless = await openStream(program, "endless");
  const exited = once(program.child, "exit");
  program.child.kill("SIGTERM");
  await until(async () => (await ready(program)) === 503);
  // Two of the same kind at once might count as one.
  program.child.kill("SIGINT");
  program.child.kill("SIGTERM");
  expect(await exited).toEqual([130, null]);
  await expect(endless.rest()).rejects.toThrow("terminated");
}, 60_000);
