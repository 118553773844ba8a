/** The whole service on three sentinels, and on a cluster of three masters. */
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { startApp, type TestApp } from "../support/app.ts";
import { connectClients } from "../support/clients.ts";
import { eventually } from "../support/eventually.ts";
import { startRedis, type TestRedis } from "../support/redis.ts";

const ends: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of ends.splice(0).reverse()) await end();
});

async function redis(...options: Parameters<typeof startRedis>): Promise<TestRedis> {
  const server = await startRedis(...options);
  ends.push(() => server.stop());
  return server;
}

async function service(environment: Record<string, string>): Promise<TestApp> {
  const app = await startApp(environment);
  ends.push(() => app.close());
  return app;
}

function cli({ port }: TestRedis, ...args: string[]): string {
  return execFileSync("redis-cli", ["-p", String(port), ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  }).trim();
}

const content = [{ part: { case: "text" as const, value: "Hello" } }];

/** A turn, and the same told once more by its idempotency key. */
async function talk(app: TestApp): Promise<void> {
  const { chat } = connectClients(app);
  const { runId } = await chat.sendMessage({ content });
  const events = [];
  for await (const event of chat.resumeRun({ runId })) events.push(event.event.case);
  expect(events.at(-1)).toBe("completed");
}

async function redisHealth(app: TestApp): Promise<string | undefined> {
  const response = await fetch(`${app.baseUrl}/health/detailed`, {
    headers: { authorization: `Bearer ${app.key}` },
  });
  const { components } = (await response.json()) as {
    components: { name: string; status: string }[];
  };
  return components.find(({ name }) => name === "redis")?.status;
}

it("recovers by itself when the master that three sentinels watch is killed", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tribe-sentinels-"));
  ends.push(() => rmSync(folder, { recursive: true }));
  const master = await redis();
  const replica = await redis({ replicaof: `127.0.0.1 ${master.port}` });
  const sentinels: TestRedis[] = [];
  for (const number of [1, 2, 3]) {
    const file = join(folder, `sentinel-${number}.conf`);
    writeFileSync(
      file,
      [
        `sentinel monitor main 127.0.0.1 ${master.port} 2`,
        "sentinel down-after-milliseconds main 500",
        "sentinel failover-timeout main 5000",
      ].join("\n"),
    );
    sentinels.push(await redis({}, [file, "--sentinel"]));
  }
  await eventually(() => {
    for (const sentinel of sentinels) {
      expect(cli(sentinel, "sentinel", "replicas", "main")).toContain(String(replica.port));
      expect(cli(sentinel, "sentinel", "ckquorum", "main")).toMatch(/^OK 3 /);
    }
  });
  const app = await service({
    REDIS_SENTINELS: sentinels.map(({ port }) => `127.0.0.1:${port}`).join(","),
    REDIS_MASTER_NAME: "main",
  });
  await eventually(async () => expect(await redisHealth(app)).toBe("HEALTH_STATUS_OK"));
  await talk(app);
  await eventually(() => expect(Number(cli(replica, "dbsize"))).toBeGreaterThan(0));

  master.kill("SIGKILL");
  // No turn fails for it, from the first moment on.
  for (let round = 0; round < 5; round += 1)
    await connectClients(app).chat.sendMessage({ content });
  await eventually(() => expect(cli(replica, "role")).toMatch(/^master/));
  cli(replica, "flushall");
  await eventually(async () => {
    expect(await redisHealth(app)).toBe("HEALTH_STATUS_OK");
    await talk(app);
    expect(Number(cli(replica, "dbsize"))).toBeGreaterThan(0);
  });
}, 120_000);

it("uses all three masters of a cluster, and no command crosses their slots", async () => {
  const settings = { "cluster-enabled": "yes", databases: "1" };
  const nodes = [await redis(settings), await redis(settings), await redis(settings)];
  const bounds = [0, 5461, 10_923, 16_384];
  for (const [index, node] of nodes.entries()) {
    const [first = 0, end = 0] = bounds.slice(index);
    const slots = Array.from({ length: end - first }, (_, offset) => String(first + offset));
    cli(node, "cluster", "addslots", ...slots);
    cli(nodes[0] as TestRedis, "cluster", "meet", "127.0.0.1", String(node.port));
  }
  await eventually(() => {
    for (const node of nodes) {
      expect(cli(node, "cluster", "info")).toMatch(/cluster_state:ok[^]*cluster_size:3/);
    }
  });
  const app = await service({ REDIS_CLUSTER_NODES: `127.0.0.1:${nodes[0]?.port}` });
  await eventually(async () => expect(await redisHealth(app)).toBe("HEALTH_STATUS_OK"));
  await eventually(async () => {
    await talk(app);
    for (const node of nodes) expect(Number(cli(node, "dbsize"))).toBeGreaterThan(0);
  });
  expect(JSON.stringify(app.log)).not.toMatch(/CROSSSLOT|MOVED|REDIS_UNAVAILABLE/);
  for (const node of nodes) expect(cli(node, "info", "errorstats")).not.toContain("CROSSSLOT");
}, 120_000);
