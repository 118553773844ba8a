import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { getCACertificates, setDefaultCACertificates } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { waitUntil } from "../../src/embedded/process.ts";
import { readConfig, type RedisAddress } from "../../src/config.ts";
import { createRedis, type Redis, type RedisOptions } from "../../src/redis/redis.ts";
import { makeCertificate } from "../../deploy/certificate.ts";
import { freePort, startRedis, type TestRedis } from "../support/redis.ts";

const clients: Redis[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) await client.close();
});

function open(options: RedisOptions): Redis {
  const redis = createRedis(options);
  clients.push(redis);
  return redis;
}

async function connected(address: RedisAddress, options: Partial<RedisOptions> = {}) {
  const redis = open({ address, ...options });
  expect(await waitUntil(redis.isReady, 15_000)).toBe(true);
  return redis;
}

const unavailable = expect.objectContaining({
  name: "DomainError",
  code: "UNAVAILABLE",
  reason: "REDIS_UNAVAILABLE",
});

describe("one server", () => {
  let server: TestRedis;
  let address: RedisAddress;
  beforeAll(async () => {
    server = await startRedis();
    address = { kind: "standalone", url: `${server.url}/1` };
  });
  afterAll(() => server.stop());

  it("answers commands in the URL's database", async () => {
    const redis = await connected(address);
    expect(await redis.command("k", ["SET", "k", "v"])).toBe("OK");
    expect(await redis.command("k", ["GET", "k"])).toBe("v");
    expect(String(await redis.command("", ["INFO", "keyspace"]))).toContain("db1:keys=1");
    await redis.ping();
  });

  it("passes messages on to all who subscribe, also after it was away", async () => {
    const server = await startRedis();
    const address: RedisAddress = { kind: "standalone", url: server.url };
    const [sender, receiver] = [open({ address }), open({ address })];
    const received: string[] = [];
    receiver.subscribe("news", (message) => received.push(message));
    const arrives = (message: string) =>
      waitUntil(async () => {
        await sender.publish("news", message).catch(() => undefined);
        return received.includes(message);
      }, 15_000);
    expect(await arrives("first")).toBe(true);
    expect(await receiver.command("k", ["GET", "k"])).toBe(null);
    server.kill("SIGKILL");
    expect(await waitUntil(() => !receiver.isReady(), 15_000)).toBe(true);
    await server.start();
    expect(await arrives("second")).toBe(true);
    await server.stop();
  });

  it("passes on an error that Redis answers", async () => {
    const redis = await connected(address);
    await redis.command("text", ["SET", "text", "not a number"]);
    await expect(redis.command("text", ["INCR", "text"])).rejects.toThrow(/not an integer/);
  });

  it("is missed at once when it is away, and found again by itself", async () => {
    const warnings: string[] = [];
    const redis = await connected(address, { warn: (message) => warnings.push(message) });
    server.kill("SIGKILL");
    expect(await waitUntil(() => !redis.isReady(), 5000)).toBe(true);
    await expect(redis.command("k", ["GET", "k"])).rejects.toEqual(unavailable);
    await expect(redis.ping()).rejects.toEqual(unavailable);
    await server.start();
    expect(await waitUntil(redis.isReady, 10_000)).toBe(true);
    await redis.ping();
    expect(warnings.length).toBeGreaterThan(0);
  });

  it("is given up when it hangs, although its connection stands", async () => {
    const redis = await connected(address, { commandTimeoutMs: 100, maxCommandsUnderWay: 20 });
    server.kill("SIGSTOP");
    const commands = Array.from({ length: 21 }, () => redis.command("k", ["GET", "k"]));
    const outcomes = await Promise.allSettled(commands);
    const causes = outcomes.map((outcome) =>
      outcome.status === "rejected" ? String(outcome.reason.cause) : "answered",
    );
    // At least one ping of the client's own may be under way, too.
    expect(causes.at(-1)).toBe("Error: The queue is full");
    expect(causes[0]).toBe("Error: no answer within 100 ms");
    expect(new Set(causes).size).toBe(2);
    expect(await waitUntil(() => !redis.isReady(), 10_000)).toBe(true);
    server.kill("SIGCONT");
    expect(await waitUntil(redis.isReady, 10_000)).toBe(true);
    await redis.ping();
  });

  it("may be away when we begin, and when we end", async () => {
    const redis = open({ address: { kind: "standalone", url: "redis://127.0.0.1:1" } });
    await expect(redis.command("k", ["GET", "k"])).rejects.toEqual(unavailable);
    await redis.close();
    await redis.close();
    await expect(redis.ping()).rejects.toEqual(unavailable);
  });

  it("gets what was sent before the end", async () => {
    const redis = await connected(address);
    const answers = Array.from({ length: 100 }, () => redis.command("n", ["INCR", "n"]));
    await redis.close();
    expect(await Promise.all(answers)).toHaveLength(100);
  });
});

it("signs in as the URL says", async () => {
  const server = await startRedis({ requirepass: "p@ss" });
  const url = server.url.replace("//", "//:p%40ss@");
  const redis = await connected({ kind: "standalone", url });
  expect(await redis.command("", ["ACL", "WHOAMI"])).toBe("default");
  await redis.close();
  await server.stop();
});

it("speaks TLS to a server whose certificate is known, and to no other", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tribe-tls-"));
  const { certificate, key } = makeCertificate();
  writeFileSync(join(folder, "certificate"), certificate);
  writeFileSync(join(folder, "key"), key);
  const server = await startRedis({
    "tls-cert-file": join(folder, "certificate"),
    "tls-key-file": join(folder, "key"),
    "tls-auth-clients": "no",
    "tls-port": String(await freePort()),
  });
  const { "tls-port": port } = Object.fromEntries([
    cli(server, "config", "get", "tls-port").split("\n"),
  ]) as Record<string, string>;
  const address = { kind: "standalone", url: `rediss://127.0.0.1:${port}` } as const;

  // With the authority that is configured, also by a client that is asked who it is.
  const config = readConfig({ REDIS_URL: address.url, REDIS_CA_FILE: join(folder, "certificate") });
  const configured = await connected(config.redis as RedisAddress);
  expect(await configured.command("k", ["SET", "k", "v"])).toBe("OK");
  await configured.close();
  const wrong: string[] = [];
  const misled = open({
    address: { ...address, trust: { ca: makeCertificate().certificate, certificate, key } },
    warn: (message) => wrong.push(message),
  });
  expect(await waitUntil(() => wrong.length > 0, 10_000)).toBe(true);
  expect(wrong[0]).toMatch(/^Redis: .*certificate/);
  expect(misled.isReady()).toBe(false);
  expect(() => readConfig({ REDIS_URL: server.url, REDIS_CA: certificate })).toThrow(
    "REDIS_URL must begin with rediss:// for REDIS_CA",
  );

  const warnings: string[] = [];
  const stranger = open({ address, warn: (message) => warnings.push(message) });
  expect(await waitUntil(() => warnings.length > 0, 10_000)).toBe(true);
  expect(warnings[0]).toContain("self-signed certificate");
  expect(stranger.isReady()).toBe(false);

  const known = getCACertificates("default");
  setDefaultCACertificates([...known, certificate]);
  try {
    const redis = await connected(address);
    expect(await redis.command("k", ["SET", "k", "v"])).toBe("OK");
    await redis.close();
  } finally {
    setDefaultCACertificates(known);
  }
  await server.stop();
  rmSync(folder, { recursive: true });
});

it("follows sentinels to the master, and to the next one", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tribe-sentinel-"));
  const master = await startRedis({ requirepass: "secret", masterauth: "secret" });
  const replica = await startRedis({
    requirepass: "secret",
    masterauth: "secret",
    replicaof: `127.0.0.1 ${master.port}`,
  });
  const configuration = join(folder, "sentinel.conf");
  writeFileSync(
    configuration,
    [
      `sentinel monitor main 127.0.0.1 ${master.port} 1`,
      "sentinel auth-pass main secret",
      "sentinel down-after-milliseconds main 500",
      "sentinel failover-timeout main 5000",
    ].join("\n"),
  );
  const sentinel = await startRedis({}, [configuration, "--sentinel"]);
  const redis = await connected({
    kind: "sentinel",
    masterName: "main",
    sentinels: [{ host: "127.0.0.1", port: sentinel.port }],
    username: undefined,
    password: "secret",
    tls: false,
    database: 2,
  });
  await redis.command("k", ["SET", "k", "before"]);
  const linked = async () =>
    String(await redis.command("", ["INFO", "replication"])).includes("state=online");
  expect(await waitUntil(linked, 15_000)).toBe(true);
  const known = async () => {
    const info = cli(sentinel, "sentinel", "replicas", "main");
    return info.includes(String(replica.port));
  };
  expect(await waitUntil(known, 20_000)).toBe(true);
  master.kill("SIGKILL");
  const wrote = () =>
    redis.command("k", ["SET", "k", "after"]).then(
      () => true,
      () => false,
    );
  expect(await waitUntil(wrote, 25_000)).toBe(true);
  expect(cli(replica, "-a", "secret", "-n", "2", "get", "k")).toBe("after");
  await redis.close();
  for (const server of [sentinel, replica, master]) await server.stop();
  rmSync(folder, { recursive: true });
}, 90_000);

it("finds the node of a key in a cluster", async () => {
  const settings = { "cluster-enabled": "yes", databases: "1", requirepass: "secret" };
  const nodes = [await startRedis(settings), await startRedis(settings)];
  const [first, second] = nodes as [TestRedis, TestRedis];
  cli(first, "-a", "secret", "cluster", "addslots", ...slots(0, 8191));
  cli(second, "-a", "secret", "cluster", "addslots", ...slots(8192, 16383));
  cli(first, "-a", "secret", "cluster", "meet", "127.0.0.1", String(second.port));
  const isWhole = () =>
    nodes.every((node) =>
      cli(node, "-a", "secret", "cluster", "info").includes("cluster_state:ok"),
    );
  expect(await waitUntil(isWhole, 20_000)).toBe(true);
  const redis = await connected({
    kind: "cluster",
    nodes: [{ host: "127.0.0.1", port: first.port }],
    username: undefined,
    password: "secret",
    tls: false,
    database: 0,
  });
  for (let number = 0; number < 50; number += 1) {
    const key = `key:${number}`;
    await redis.command(key, ["SET", key, String(number)]);
    expect(await redis.command(key, ["GET", key])).toBe(String(number));
  }
  const sizes = nodes.map((node) => Number(cli(node, "-a", "secret", "dbsize")));
  expect(sizes.every((size) => size > 0)).toBe(true);
  expect(sizes.reduce((sum, size) => sum + size)).toBe(50);
  await redis.ping();
  await redis.close();
  for (const node of nodes) await node.stop();
}, 60_000);

function slots(first: number, last: number): string[] {
  return Array.from({ length: last - first + 1 }, (_, index) => String(first + index));
}

function cli(server: TestRedis, ...args: string[]): string {
  return execFileSync("redis-cli", ["-p", String(server.port), ...args], {
    encoding: "utf8",
    stdio: ["ignore", "pipe", "ignore"],
  }).trim();
}
