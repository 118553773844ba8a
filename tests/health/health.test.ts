/** Readiness, liveness and details, over REST as probes ask for them. */
import { afterEach, expect, test } from "vitest";
import type { HealthCheck } from "../../src/health/checks.ts";
import { startDoors, type Doors, type DoorsOptions } from "../support/doors.ts";
import { eventually } from "../support/eventually.ts";

let doors: Doors;
async function start(options: DoorsOptions): Promise<void> {
  doors = await startDoors(options);
}
afterEach(() => doors.close());

interface Answer {
  status: number;
  headers: Headers;
  // oxlint-disable-next-line typescript/no-explicit-any -- JSON of many forms
  body: any;
}
async function get(path: string): Promise<Answer> {
  const response = await fetch(doors.httpUrl + path);
  return { status: response.status, headers: response.headers, body: await response.json() };
}

/** A check whose outcome the test decides. */
function switchable(name: string, essential: boolean) {
  let outcome: () => ReturnType<HealthCheck["check"]> = async () => {};
  return {
    check: { name, essential, check: () => outcome() } satisfies HealthCheck,
    works: () => (outcome = async () => {}),
    fails: () => (outcome = () => Promise.reject(new Error("connection refused"))),
    limps: () =>
      (outcome = async () => ({ status: "degraded", message: "slow", figures: { a: 2 } })),
    hangs: () => (outcome = () => new Promise(() => {})),
  };
}

test("ready while everything essential works, and again after it failed", async () => {
  const postgres = switchable("postgres", true);
  await start({ checks: [postgres.check] });
  expect(await get("/health/ready")).toMatchObject({
    status: 200,
    body: { status: "HEALTH_STATUS_OK" },
  });
  postgres.fails();
  await eventually(async () => {
    const { status, headers, body } = await get("/health/ready");
    expect(status).toBe(503);
    expect(headers.get("retry-after")).toBe("2");
    expect(body).toMatchObject({
      code: 14,
      message: "postgres does not answer",
      details: [
        { "@type": "type.googleapis.com/google.rpc.ErrorInfo", reason: "NOT_READY" },
        { "@type": "type.googleapis.com/google.rpc.RetryInfo", retryDelay: "2s" },
        { "@type": "type.googleapis.com/google.rpc.RequestInfo" },
      ],
    });
  });
  expect((await get("/health")).body).toEqual({
    status: "HEALTH_STATUS_DOWN",
    version: "0.0.0-test",
  });
  postgres.works();
  await eventually(async () => expect((await get("/health/ready")).status).toBe(200));
});

test("not ready before the first success", async () => {
  const postgres = switchable("postgres", true);
  postgres.fails();
  await start({ checks: [postgres.check] });
  expect((await get("/health/ready")).status).toBe(503);
  postgres.works();
  await eventually(async () => expect((await get("/health/ready")).status).toBe(200));
});

test("what does not answer at all is down", async () => {
  const postgres = switchable("postgres", true);
  await start({ checks: [postgres.check], health: { timeoutMs: 30 } });
  postgres.hangs();
  await eventually(async () => expect((await get("/health/ready")).status).toBe(503));
  const { body } = await get("/health/detailed");
  expect(body.components).toMatchObject([
    { name: "postgres", status: "HEALTH_STATUS_DOWN", message: "no answer within 30 ms" },
  ]);
});

test("what is not essential degrades, and stays ready", async () => {
  const redis = switchable("redis", false);
  await start({ checks: [redis.check] });
  expect((await get("/health")).body).toMatchObject({ status: "HEALTH_STATUS_OK" });
  redis.fails();
  await eventually(async () =>
    expect(await get("/health/ready")).toMatchObject({
      status: 200,
      body: { status: "HEALTH_STATUS_DEGRADED" },
    }),
  );
});

test("live depends on nothing", async () => {
  const postgres = switchable("postgres", true);
  postgres.fails();
  await start({ checks: [postgres.check] });
  doors.health.drain();
  expect(await get("/health/live")).toMatchObject({
    status: 200,
    body: { status: "HEALTH_STATUS_OK" },
  });
});

test("a process that shuts down is not ready, whatever works", async () => {
  await start({ checks: [switchable("postgres", true).check] });
  doors.health.drain();
  expect(await get("/health/ready")).toMatchObject({
    status: 503,
    body: { message: "the process is shutting down" },
  });
});

test("details: the parts, the essential ones first, and the process", async () => {
  const redis = switchable("redis", false);
  redis.limps();
  await start({
    checks: [redis.check, switchable("postgres", true).check],
    health: { runsInFlight: () => 3, callsInFlight: () => 2 },
  });
  const { status, body } = await get("/health/detailed");
  expect(status).toBe(200);
  expect(body).toMatchObject({
    status: "HEALTH_STATUS_DEGRADED",
    version: "0.0.0-test",
    components: [
      { name: "postgres", status: "HEALTH_STATUS_OK", essential: true },
      { name: "redis", status: "HEALTH_STATUS_DEGRADED", message: "slow", figures: { a: 2 } },
    ],
    process: { callsInFlight: 2, runsInFlight: 3 },
  });
  expect(Number.parseFloat(body.uptime)).toBeGreaterThan(0);
  expect(Number(body.process.memoryBytes)).toBeGreaterThan(10_000_000);
  expect(Number(body.process.heapBytes)).toBeGreaterThan(1_000_000);
  expect(body.process.cpuCores).toBeGreaterThan(0);
  const since = Date.parse(body.components[1].since);
  await eventually(async () => {
    const [, later] = (await get("/health/detailed")).body.components;
    expect(Date.parse(later.since)).toBe(since);
    expect(later.latency).toMatch(/s$/);
  });
});

test("a thousand probes look at nothing: they are answered from memory", async () => {
  let looks = 0;
  const check = async () => {
    looks += 1;
  };
  await start({
    checks: [{ name: "postgres", essential: true, check }],
    health: { intervalMs: 3_600_000 },
  });
  const paths = ["/health", "/health/live", "/health/ready", "/health/detailed"];
  for (let batch = 0; batch < 20; batch += 1) {
    const probes = Array.from({ length: 50 }, (_, index) => get(paths[index % 4]!));
    for (const { status } of await Promise.all(probes)) expect(status).toBe(200);
  }
  expect(looks).toBe(1);
});
