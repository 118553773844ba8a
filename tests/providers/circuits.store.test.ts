/** Two processes' circuits, as two connections to one Redis have them. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { createSharedCircuits, type SharedCircuits } from "../../src/providers/circuits.store.ts";
import type { Circuit } from "../../src/providers/circuit.ts";
import { createRedis, type Redis } from "../../src/redis/redis.ts";
import { eventually, until } from "../support/eventually.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const DOWN = "PROVIDER_UNAVAILABLE";
let server: TestRedis;
let connections: Redis[];
let shared: SharedCircuits[];
let one: Circuit;
let two: Circuit;

beforeAll(async () => {
  server = await startRedis();
});
afterAll(() => server.stop());
beforeEach(async () => {
  connections = [0, 1, 2].map(() =>
    createRedis({ address: { kind: "standalone", url: server.url } }),
  );
  await until(() => connections.every((redis) => redis.isReady()));
  await connections[0]!.command("k", ["FLUSHALL"]);
  shared = connections.map((redis) => createSharedCircuits(redis, { openMs: 300 }));
  one = shared[0]!.create("d");
  two = shared[1]!.create("d");
});
afterEach(async () => {
  for (const circuits of shared) circuits.close();
  await Promise.all(connections.map((redis) => redis.close()));
});

function fail(circuit: Circuit) {
  for (let call = 0; call < 5; call += 1) circuit.failed(DOWN, false);
}

test("what one process opens is open in the others, and in one that starts later", async () => {
  one.leaveAlone(60_000, "PROVIDER_RATE_LIMITED", false);
  await eventually(() => {
    expect(two.admits()).toBe(false);
    expect(two.view()).toMatchObject({ state: "open", lastReason: "PROVIDER_RATE_LIMITED" });
  });
  const late = shared[2]!.create("d");
  await until(() => !late.admits());
  expect(late.availableInMs()).toBeLessThanOrEqual(60_000);
});

test("one process probes, and its success closes the circuit everywhere", async () => {
  fail(one);
  await until(() => two.view().state !== "closed");
  await until(() => one.admits() || two.admits());
  const [prober, other] = one.admits() ? [one, two] : [two, one];
  expect(prober.begin()).toBe(true);
  expect(other.admits()).toBe(false);
  prober.succeeded(true);
  await until(() => other.view().state === "closed");
  expect(other.admits()).toBe(true);
});

test("only one of them is granted the probe", async () => {
  fail(one);
  await until(() => two.view().state === "half_open" && one.view().state === "half_open");
  const grants = () => [one, two].filter((circuit) => circuit.admits());
  await until(() => grants().length > 0);
  // Whoever asked second has had its answer when a later question is answered.
  await connections[0]!.ping();
  await connections[1]!.ping();
  expect(grants()).toHaveLength(1);
});

test("a failed probe opens it again everywhere, and one without a verdict is passed on", async () => {
  fail(one);
  await until(() => one.admits());
  one.ended(one.begin());
  await until(() => two.view().state !== "closed");
  await until(() => two.admits());
  two.failed(DOWN, two.begin());
  expect(two.view().state).toBe("open");
  await until(() => one.admits() || two.admits());
});

test("without Redis every process has its own", async () => {
  server.kill("SIGKILL");
  await until(() => !connections[0]!.isReady());
  fail(one);
  expect(one.admits()).toBe(false);
  expect(two.admits()).toBe(true);
  await until(() => one.admits());
  one.succeeded(one.begin());
  expect(one.view().state).toBe("closed");
  await server.start();
});
