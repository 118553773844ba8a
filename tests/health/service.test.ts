/** What a whole service knows of its parts. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { createMachineCheck, createMigrationsCheck } from "../../src/health-checks.ts";
import { parseNetwork } from "../../src/telemetry/host.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { eventually } from "../support/eventually.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";

interface Component {
  name: string;
  status: string;
  message?: string;
  since: string;
  figures?: Record<string, number>;
}

let standIn: TestDatabase;
let app: TestApp;
beforeAll(async () => {
  standIn = await createDatabase();
  app = await startApp({
    DATABASE_REPLICA_URLS: `${standIn.url},postgres://tribe:x@127.0.0.1:1/tribe`,
  });
});
afterAll(async () => {
  await app?.close();
  await standIn?.close();
});

async function detailed() {
  const response = await fetch(`${app.baseUrl}/health/detailed`, {
    headers: { authorization: `Bearer ${app.key}` },
  });
  expect(response.status).toBe(200);
  return (await response.json()) as { status: string; components: Component[] };
}

test("each replica: one that follows nobody and one that does not answer", async () => {
  const { status, components } = await detailed();
  const address = new URL(standIn.url).host;
  expect(components).toContainEqual(
    expect.objectContaining({
      name: `postgres:replica:${address}`,
      status: "HEALTH_STATUS_DEGRADED",
      message: "is no replica: it follows no primary",
      figures: { connections: 1, idle: 1, waiting: 0, most: 10 },
    }),
  );
  expect(components).toContainEqual(
    expect.objectContaining({
      name: "postgres:replica:127.0.0.1:1",
      status: "HEALTH_STATUS_DOWN",
      message: expect.stringContaining("ECONNREFUSED") as string,
    }),
  );
  expect(status).toBe("HEALTH_STATUS_DEGRADED");
  expect((await fetch(`${app.baseUrl}/health/ready`)).status).toBe(200);
});

test("the primary, Redis, deployments, the load, migrations, and since when", async () => {
  // The first look comes before the connection to Redis, and while much else begins.
  const components = await eventually(async () => {
    const { components } = await detailed();
    for (const name of ["postgres", "redis", "load", "answers", "limits", "migrations"]) {
      const component = components.find((each) => each.name === name);
      expect(component).toMatchObject({ name, status: "HEALTH_STATUS_OK" });
      expect(Date.parse(component!.since)).toBeLessThanOrEqual(Date.now());
    }
    return components;
  });
  const find = (name: string) => components.find((component) => component.name === name);
  expect(find("postgres")?.figures).toMatchObject({ waiting: 0, most: 10 });
  expect(find("migrations")?.figures).toEqual({ pending: 0 });
  expect(components.some(({ name }) => name.startsWith("deployment:"))).toBe(true);
});

test("the machine: its disks, its memory and its network", async () => {
  const { components } = await detailed();
  const { status, figures = {} } = components.find(({ name }) => name === "machine")!;
  expect(status).toBe("HEALTH_STATUS_OK");
  expect(figures["cores"]).toBeGreaterThan(0);
  expect(figures["memory_available_bytes"]).toBeGreaterThan(0);
  expect(figures[`disk_available_bytes:${process.cwd()}`]).toBeGreaterThan(0);
  expect(figures[`disk_total_bytes:${process.cwd()}`]).toBeGreaterThan(0);
});

test("a machine that runs out of something is degraded, and says of what", async () => {
  const { check } = createMachineCheck({
    read: () => ({
      cores: 2,
      load: 1,
      memoryTotalBytes: 1000,
      memoryAvailableBytes: 40,
      disks: [{ path: "/data", totalBytes: 1000, availableBytes: 49 }],
      network: [{ name: "eth0", receivedBytes: 5, sentBytes: 6 }],
    }),
  });
  expect(await check(new AbortController().signal)).toMatchObject({
    status: "degraded",
    message: "runs out: memory, the disk of /data",
    figures: { "disk_available_bytes:/data": 49, "network_sent_bytes:eth0": 6 },
  });
});

test("of the network the machine's own interfaces, and not those of its containers", () => {
  const counters = "0 0 0 0 0 0 0 0";
  const names = ["lo", "eth0", "veth003dbcc", "br-3809e0750073", "docker0", "wlp2s0"];
  const text = names.map((name, index) => `${name}: ${index} ${counters.slice(2)} 7 ${counters}`);
  expect(parseNetwork(["Inter-|", " face |bytes", ...text].join("\n"))).toEqual([
    { name: "eth0", receivedBytes: 1, sentBytes: 7 },
    { name: "wlp2s0", receivedBytes: 5, sentBytes: 7 },
  ]);
});

test("details are for operators, and never hold a secret", async () => {
  expect((await fetch(`${app.baseUrl}/health/detailed`)).status).toBe(401);
  expect(JSON.stringify(await detailed())).not.toContain("tribe:x@");
});

test("migrations that cannot be read keep no traffic away, and what was known holds", async () => {
  let now = 0;
  let read = () => Promise.reject<string[]>(new Error("away"));
  const { check } = createMigrationsCheck(
    () => read(),
    () => now,
  );
  const signal = new AbortController().signal;
  const unknown = { status: "degraded", message: "the migrations cannot be read" };
  expect(await check(signal)).toEqual(unknown);
  read = async () => [];
  expect(await check(signal)).toEqual({ figures: { pending: 0 } });
  now = 30_000;
  read = () => new Promise<string[]>(() => {});
  expect(await check(signal)).toEqual({ figures: { pending: 0 } });
});

test("migrations that have not run are named; the list is not read with every look", async () => {
  let reads = 0;
  let now = 0;
  let pending = ["Migration1", "Migration2"];
  const { check } = createMigrationsCheck(
    async () => {
      reads += 1;
      return pending;
    },
    () => now,
  );
  const signal = new AbortController().signal;
  const found = {
    notReady: "the database is not up to date",
    message: "the database is not up to date, run `npm run migrate`: Migration1, Migration2",
    figures: { pending: 2 },
  };
  expect(await check(signal)).toEqual(found);
  pending = [];
  now = 1999;
  expect(await check(signal)).toEqual(found);
  expect(reads).toBe(1);
  now = 2000;
  expect(await check(signal)).toEqual({ figures: { pending: 0 } });
  now = 31_999;
  await check(signal);
  expect(reads).toBe(2);
  now = 32_000;
  await check(signal);
  expect(reads).toBe(3);
});
