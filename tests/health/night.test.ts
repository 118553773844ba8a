/**
 * What an operator is told while engines and providers come and go: a service on a primary with a
 * streaming standby, a Redis and a provider of its own.
 */
import { execFileSync } from "node:child_process";
import { create } from "@bufbuild/protobuf";
import type { ClientReadableStream } from "@grpc/grpc-js";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  Health,
  HealthCheckRequestSchema,
  type HealthCheckResponse,
} from "../../gen/grpc/health/v1/health_pb.js";
import {
  CircuitState,
  type ComponentHealth,
  type DetailedResponse,
  HealthStatus,
} from "../../gen/tribe/v1/health_pb.js";
import { CacheMode } from "../../gen/tribe/v1/chat_pb.js";
import { entities } from "../../src/entities.ts";
import { createPostgres, type Postgres } from "../../src/postgres/postgres.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { connectClients } from "../support/clients.ts";
import { eventually, until } from "../support/eventually.ts";
import { createGrpcClient } from "../support/grpc-client.ts";
import {
  startProviderServer,
  type ProviderServer,
} from "../support/provider-server/provider-server.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";
import { startReplicatedPostgres, type ReplicatedPostgres } from "../support/standby.ts";
import { createWay, type Way } from "../support/way.ts";

let servers: ReplicatedPostgres;
/** To the primary, past the way that is cut. */
let primary: Postgres;
let toPrimary: Way;
let toStandby: Way;
let redis: TestRedis;
let provider: ProviderServer;
let app: TestApp;
let clients: ReturnType<typeof connectClients>;

beforeAll(async () => {
  [servers, redis, provider] = await Promise.all([
    startReplicatedPostgres({ shared_preload_libraries: "pg_stat_statements" }),
    startRedis(),
    startProviderServer(),
  ]);
  primary = await createPostgres({ url: servers.primaryUrl, entities, poolSize: 1 });
  await primary.work((em) => em.execute("create extension pg_stat_statements"));
  [toPrimary, toStandby] = await Promise.all([
    createWay(servers.primaryUrl),
    createWay(servers.standbyUrl),
  ]);
  app = await startApp({
    DATABASE_URL: toPrimary.url,
    DATABASE_REPLICA_URLS: toStandby.url,
    REDIS_URL: redis.url,
    OPENAI_API_KEY: "sk-test",
    OPENAI_BASE_URL: provider.openaiUrl,
  });
  clients = connectClients(app);
}, 120_000);
afterAll(async () => {
  await app?.close();
  await Promise.all([primary?.close(), toPrimary?.close(), toStandby?.close()]);
  await Promise.all([servers?.close(), redis?.stop(), provider?.close()]);
});

const detailed = (): Promise<DetailedResponse> => clients.health.detailed({});
const replica = () => `postgres:replica:${new URL(toStandby.url).host}`;
const time = (at?: { seconds: bigint; nanos: number }) =>
  at === undefined ? Number.NaN : Number(at.seconds) * 1000 + at.nanos / 1e6;

function find({ components }: DetailedResponse, name: string): ComponentHealth {
  const component = components.find((each) => each.name === name);
  if (component === undefined) throw new Error(`there is no ${name}`);
  return component;
}
/** The machine of the tests may be busy, which is no matter here. */
function degradedParts({ degraded }: DetailedResponse): string[] {
  return degraded
    .map(({ component }) => component)
    .filter((name) => !["load", "machine"].includes(name))
    .sort();
}
const untilAllIsWell = () =>
  eventually(async () => expect(degradedParts(await detailed())).toEqual([]));

test("nothing is degraded; the standby has its lag and its connections", async () => {
  await untilAllIsWell();
  const { figures, essential, status } = find(await detailed(), replica());
  expect({ essential, status }).toEqual({ essential: false, status: HealthStatus.OK });
  expect(figures).toMatchObject({ connections: 1, idle: 1, waiting: 0, most: 10 });
  expect(figures["lag_seconds"]).toBeGreaterThanOrEqual(0);
  expect(figures["lag_seconds"]).toBeLessThan(30);
});

test("a standby that does not replay falls behind, by the seconds that it really is", async () => {
  const standby = await createPostgres({ url: servers.standbyUrl, entities, poolSize: 1 });
  await standby.work((em) => em.execute("select pg_wal_replay_pause()"));
  const lag = async () => find(await detailed(), replica()).figures["lag_seconds"]!;
  await eventually(async () => {
    await primary.work((em) => em.execute("select pg_logical_emit_message(true, 'test', 'x')"));
    expect(await lag()).toBeGreaterThan(2);
  });
  await standby.work((em) => em.execute("select pg_wal_replay_resume()"));
  await standby.close();
  await eventually(async () => expect(await lag()).toBeLessThan(2));
});

test.each([
  {
    what: "the standby",
    goes: () => toStandby.cut(),
    comes: () => toStandby.open(),
    parts: () => [replica()],
  },
  {
    what: "Redis",
    goes: () => redis.kill("SIGKILL"),
    comes: () => redis.start(),
    parts: () => ["limits", "redis"],
  },
])("$what goes and comes back: it is degraded since then, and then no more", async (engine) => {
  await untilAllIsWell();
  const goneAt = Date.now();
  await engine.goes();
  const { degraded, status } = await eventually(async () => {
    const found = await detailed();
    expect(degradedParts(found)).toEqual(engine.parts());
    return found;
  });
  expect(status).toBe(HealthStatus.DEGRADED);
  for (const { component, since, message } of degraded) {
    if (!engine.parts().includes(component)) continue;
    expect(time(since)).toBeGreaterThanOrEqual(goneAt);
    expect(time(since)).toBeLessThanOrEqual(Date.now());
    expect(message).not.toBe("");
  }
  await engine.comes();
  await untilAllIsWell();
  for (const part of engine.parts()) {
    expect(time(find(await detailed(), part).since)).toBeGreaterThan(goneAt);
  }
});

test("a deployment: its latency, then its failures and its open circuit, never by a call of ours", async () => {
  const content = [{ part: { case: "text" as const, value: "Hello" } }];
  const question = { content, cache: CacheMode.BYPASS };
  const answered = await clients.chat.sendMessage(question);
  const name = (await detailed()).components.find(
    ({ deployment }) => deployment?.model === answered.model,
  )!.name;
  const before = find(await detailed(), name).deployment!;
  expect(before).toMatchObject({
    provider: "openai",
    enabled: true,
    circuit: CircuitState.CLOSED,
    lastError: "",
    succeeded: 1n,
    failed: 0n,
  });
  expect(time(before.firstContent)).toBeGreaterThan(0);

  const failing = { status: 401, error: { error: { message: "words of the provider" } } };
  const failedAt = Date.now();
  provider.script(failing);
  await expect(clients.chat.sendMessage(question)).rejects.toThrow("openai");
  const asked = provider.requests.length;
  const found = await detailed();
  const { deployment, status, message } = find(found, name);
  expect(status).toBe(HealthStatus.DEGRADED);
  expect(message).toBe("is left alone after PROVIDER_AUTHENTICATION_FAILED");
  expect(deployment).toMatchObject({
    circuit: CircuitState.OPEN,
    lastError: "PROVIDER_AUTHENTICATION_FAILED",
    failed: 1n,
  });
  expect(time(deployment?.lastErrorTime)).toBeGreaterThanOrEqual(failedAt);
  expect(degradedParts(found)).toEqual([name]);
  expect(JSON.stringify(found, (_, value) => (typeof value === "bigint" ? 0 : value))).not.toMatch(
    /words of the provider|sk-test/,
  );
  expect(provider.requests).toHaveLength(asked);
});

test("grpc.health.v1 follows PostgreSQL for every service, in Check and in Watch", async () => {
  const client = createGrpcClient(Health, app.grpcAddress);
  const ask = (service: string) =>
    new Promise<number>((resolve, reject) => {
      client["Check"]!(
        create(HealthCheckRequestSchema, { service }),
        (error: Error | null, { status }: HealthCheckResponse) =>
          error ? reject(error) : resolve(status),
      );
    });
  const services = ["Admin", "Chat", "Conversation", "Health", "Identity", "Usage"].map(
    (name) => `tribe.v1.${name}Service`,
  );
  const all = ["", ...services];
  const statusesOfAll = () => Promise.all(all.map(ask));
  const statuses: number[] = [];
  const watch: ClientReadableStream<HealthCheckResponse> = client["Watch"]!(
    create(HealthCheckRequestSchema, { service: "tribe.v1.ChatService" }),
  );
  watch.on("data", ({ status }: HealthCheckResponse) => statuses.push(status));
  watch.on("error", () => undefined);
  const [serving, notServing] = [1, 2];
  await eventually(async () => expect(new Set(await statusesOfAll())).toEqual(new Set([serving])));
  await until(() => statuses.length === 1);

  const goneAt = Date.now();
  toPrimary.cut();
  await eventually(async () =>
    expect(new Set(await statusesOfAll())).toEqual(new Set([notServing])),
  );
  const probe = { headers: { "x-request-id": "probe-of-the-night" } };
  expect((await fetch(`${app.baseUrl}/health/ready`, probe)).status).toBe(503);
  expect((await fetch(`${app.baseUrl}/health/live`)).status).toBe(200);
  // What is known to be away needs no stack in every line.
  const line = app.log.find(({ requestId }) => requestId === "probe-of-the-night");
  expect(line).toMatchObject({ level: "warn", message: "postgres does not answer" });
  expect(line).not.toHaveProperty("err");
  const { degraded, status } = await detailed();
  expect(status).toBe(HealthStatus.DOWN);
  const [worst] = degraded;
  expect(worst).toMatchObject({ component: "postgres", status: HealthStatus.DOWN });
  expect(time(worst?.since)).toBeGreaterThanOrEqual(goneAt);

  toPrimary.open();
  await eventually(async () => expect(new Set(await statusesOfAll())).toEqual(new Set([serving])));
  await until(() => statuses.length === 3);
  expect(statuses).toEqual([serving, notServing, serving]);
  await eventually(async () =>
    expect((await detailed()).degraded.map(({ component }) => component)).not.toContain("postgres"),
  );
  watch.cancel();
  client.close();
});

const probes = 1_000;
/** What the service asks by itself, it asks once a second or less: far less often than it is probed. */
const few = probes / 5;

test.each(["/health", "/health/live", "/health/ready", "/health/detailed", "grpc.health.v1"])(
  "a thousand probes of %s ask neither PostgreSQL nor Redis",
  async (path) => {
    const client = createGrpcClient(Health, app.grpcAddress);
    const probe = () =>
      path.startsWith("/")
        ? fetch(app.baseUrl + path, { headers: { "x-api-key": app.key } }).then(
            async (response) => (await response.text(), response.status === 200),
          )
        : new Promise<boolean>((resolve) => {
            client["Check"]!(create(HealthCheckRequestSchema), (error: Error | null) =>
              resolve(error === null),
            );
          });
    // The key is looked up once.
    expect(await probe()).toBe(true);
    const before = await counts();
    for (let done = 0; done < probes; done += 50) {
      const answers = await Promise.all(Array.from({ length: 50 }, probe));
      expect(answers.every(Boolean)).toBe(true);
    }
    const after = await counts();
    client.close();
    const grown = Array.from(after, ([what, count]) => [what, count - (before.get(what) ?? 0)]);
    expect(grown.filter(([, count]) => Number(count) > 0)).not.toEqual([]);
    expect(grown.filter(([, count]) => Number(count) >= few)).toEqual([]);
  },
  60_000,
);

/** How often the engines have served each statement and each command, whoever asked. */
async function counts(): Promise<Map<string, number>> {
  const statements = await primary.work((em) =>
    em.execute<{ query: string; calls: string }[]>(
      "select query, sum(calls) as calls from pg_stat_statements group by query",
    ),
  );
  const info = execFileSync("redis-cli", ["-p", String(redis.port), "info", "commandstats"], {
    encoding: "utf8",
  });
  const commands = [...info.matchAll(/^cmdstat_(.*?):calls=(\d+)/gm)];
  return new Map([
    ...statements.map(({ query, calls }) => [query, Number(calls)] as const),
    ...commands.map(([, name, calls]) => [`Redis ${name}`, Number(calls)] as const),
  ]);
}
