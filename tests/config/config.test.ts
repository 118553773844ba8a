import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { ConfigError, readConfig, type Environment } from "../../src/config.ts";

const folder = mkdtempSync(join(tmpdir(), "tribe-config-"));
afterAll(() => rmSync(folder, { recursive: true }));

function faultsOf(environment: Environment): readonly string[] {
  try {
    readConfig(environment);
  } catch (error) {
    if (error instanceof ConfigError) return error.faults;
    throw error;
  }
  return [];
}

const production = {
  NODE_ENV: "production",
  DATABASE_URL: "postgres://tribe:secret@db:5432/tribe",
  REDIS_URL: "redis://cache:6379/0",
  OPENAI_API_KEY: "sk-1",
  ADMIN_API_KEY: "an-administrators-key",
};

describe("readConfig", () => {
  it("runs on nothing at all outside production", () => {
    const config = readConfig({});
    expect(config).toMatchObject({
      production: false,
      http: { host: "127.0.0.1", port: 8080 },
      grpc: { host: "127.0.0.1", port: 9090 },
      postgres: { url: undefined, replicaUrls: [] },
      redis: { kind: "embedded" },
      providers: { openai: undefined, anthropic: undefined, defaultModel: undefined },
      identity: { adminApiKey: undefined, oidc: undefined },
      log: { level: "info" },
      runLeaseMs: 30_000,
      shutdownTimeoutMs: 30_000,
      directory: resolve(".tribe"),
    });
  });

  it("cannot be changed afterwards", () => {
    const config = readConfig({ REDIS_CLUSTER_NODES: "a,b" });
    for (const part of [config, config.http, config.redis, config.providers])
      expect(Object.isFrozen(part)).toBe(true);
  });

  it("lists every fault in one message", () => {
    const faults = faultsOf({
      NODE_ENV: "prod",
      HTTP_PORT: "eighty",
      GRPC_PORT: "65536",
      DATABASE_URL: "mysql://db/tribe",
      REDIS_URL: "cache:6379",
      OPENAI_BASE_URL: "ftp://models",
      LOG_LEVEL: "loud",
      JWT_SECRET: "short",
      OIDC_ISSUER: "https://login.example.com",
      SHUTDOWN_TIMEOUT: "-1",
      ADMIN_API_KEY: "two words",
    });
    const keys = faults.map((fault) => fault.split(" ")[0]);
    expect(keys.sort()).toEqual([
      "ADMIN_API_KEY",
      "DATABASE_URL",
      "GRPC_PORT",
      "HTTP_PORT",
      "JWT_SECRET",
      "LOG_LEVEL",
      "NODE_ENV",
      "OIDC_ISSUER",
      "OPENAI_BASE_URL",
      "REDIS_URL",
      "SHUTDOWN_TIMEOUT",
    ]);
    expect(new ConfigError(faults).message.split("\n")).toHaveLength(12);
  });

  it("never repeats what may be a secret", () => {
    const secret = "hunter2";
    const faults = faultsOf({
      DATABASE_URL: `mysql://tribe:${secret}@db/tribe`,
      REDIS_URL: `http://:${secret}@cache`,
      DATABASE_REPLICA_URLS: `mysql://tribe:${secret}@db/tribe`,
      ANTHROPIC_BASE_URL: `https://tribe:${secret}@models`,
      JWT_SECRET: secret,
      ADMIN_API_KEY: `${secret} `.repeat(2),
    });
    expect(faults).toHaveLength(6);
    expect(faults.join()).not.toContain(secret);
  });

  it("takes an empty value for none, as compose files write it", () => {
    const { readSecret } = readConfig({}).providers;
    const { providers, ...rest } = readConfig({ REDIS_URL: "", HTTP_PORT: " " });
    expect({ ...rest, providers: { ...providers, readSecret } }).toEqual({
      ...readConfig({}),
      providers: { ...readConfig({}).providers, readSecret },
    });
  });

  it("serves metrics on a port of their own, unless told not to", () => {
    expect(readConfig({}).metrics).toEqual({ host: "127.0.0.1", port: 9464 });
    expect(readConfig({ METRICS_PORT: "0" }).metrics?.port).toBe(0);
    expect(readConfig({ METRICS_PORT: "off" }).metrics).toBeUndefined();
    expect(faultsOf({ METRICS_PORT: "9090" })).toEqual([
      "METRICS_PORT must differ from the other ports, 9090 is one of them",
    ]);
    expect(faultsOf({ METRICS_PORT: "none" })).toEqual([
      'METRICS_PORT is "none", but must be a whole number from 0 to 65535',
    ]);
  });

  it("trusts no proxy but those named, by address or network", () => {
    expect(readConfig({}).trustedProxies).toEqual([]);
    const proxies = "10.0.0.1, 172.16.0.0/12,fd00::/8";
    expect(readConfig({ TRUSTED_PROXIES: proxies }).trustedProxies).toEqual([
      "10.0.0.1",
      "172.16.0.0/12",
      "fd00::/8",
    ]);
    for (const wrong of ["nginx", "10.0.0.0/33", "10.0.0.0/8/8", "10.0.0/8", "::/129", "::/"]) {
      expect(faultsOf({ TRUSTED_PROXIES: wrong })).toEqual([
        expect.stringContaining("TRUSTED_PROXIES must be comma-separated IP addresses"),
      ]);
    }
  });

  it("lets in the browser origins that are named", () => {
    expect(readConfig({}).corsOrigins).toEqual([]);
    expect(readConfig({ CORS_ORIGINS: "*" }).corsOrigins).toBe("*");
    const origins = "https://app.example.com, http://localhost:3000";
    expect(readConfig({ CORS_ORIGINS: origins }).corsOrigins).toEqual([
      "https://app.example.com",
      "http://localhost:3000",
    ]);
    for (const wrong of ["app.example.com", "https://app.example.com/", "https://a.b,*", "null"]) {
      expect(faultsOf({ CORS_ORIGINS: wrong })).toEqual([
        expect.stringContaining("CORS_ORIGINS must be `*` or comma-separated origins"),
      ]);
    }
  });

  it("does not listen twice on one port, except on free ones", () => {
    expect(faultsOf({ HTTP_PORT: "9090" })).toEqual([
      "GRPC_PORT must differ from HTTP_PORT, both are 9090",
    ]);
    expect(faultsOf({ HTTP_PORT: "0", GRPC_PORT: "0" })).toEqual([]);
  });
});

describe("secret files", () => {
  const path = join(folder, "key");

  it("are read for every key", () => {
    writeFileSync(path, "sk-from-a-file\n");
    const config = readConfig({ OPENAI_API_KEY_FILE: path });
    expect(config.providers.openai).toEqual({ apiKey: "sk-from-a-file", baseUrl: undefined });
  });

  it("must not contradict the key, be missing or be empty", () => {
    const empty = join(folder, "empty");
    writeFileSync(empty, "\n");
    const faults = faultsOf({
      OPENAI_API_KEY: "sk-1",
      OPENAI_API_KEY_FILE: path,
      ANTHROPIC_API_KEY_FILE: join(folder, "missing"),
      JWT_SECRET_FILE: empty,
    });
    expect(faults).toHaveLength(3);
    expect(faults[0]).toContain("OPENAI_API_KEY and OPENAI_API_KEY_FILE are both set");
    expect(faults[1]).toContain("ANTHROPIC_API_KEY_FILE cannot be read");
    expect(faults[2]).toContain("JWT_SECRET_FILE names an empty file");
  });
});

describe("Redis", () => {
  it("is one server", () => {
    expect(readConfig({ REDIS_URL: "rediss://user:pass@cache/2" }).redis).toEqual({
      kind: "standalone",
      url: "rediss://user:pass@cache/2",
    });
  });

  it("is found by sentinels, with the URL's credentials", () => {
    const config = readConfig({
      REDIS_SENTINELS: "10.0.0.1, 10.0.0.2:26380,[::1]:26381",
      REDIS_MASTER_NAME: "main",
      REDIS_URL: "rediss://user:p%40ss@ignored/3",
    });
    expect(config.redis).toEqual({
      kind: "sentinel",
      masterName: "main",
      sentinels: [
        { host: "10.0.0.1", port: 26379 },
        { host: "10.0.0.2", port: 26380 },
        { host: "::1", port: 26381 },
      ],
      username: "user",
      password: "p@ss",
      tls: true,
      database: 3,
    });
  });

  it("is a cluster", () => {
    expect(readConfig({ REDIS_CLUSTER_NODES: "a:7000,b" }).redis).toEqual({
      kind: "cluster",
      nodes: [
        { host: "a", port: 7000 },
        { host: "b", port: 6379 },
      ],
      username: undefined,
      password: undefined,
      tls: false,
      database: 0,
    });
  });

  it.each([
    [{ REDIS_SENTINELS: "a" }, "REDIS_MASTER_NAME and REDIS_SENTINELS belong together"],
    [{ REDIS_MASTER_NAME: "main" }, "REDIS_MASTER_NAME and REDIS_SENTINELS belong together"],
    [{ REDIS_CLUSTER_NODES: "a:0" }, "REDIS_CLUSTER_NODES must be comma-separated host:port"],
    [{ REDIS_CLUSTER_NODES: "redis://a" }, "REDIS_CLUSTER_NODES must be comma-separated"],
    [{ REDIS_CLUSTER_NODES: "a", REDIS_URL: "redis://x/1" }, "a database other than 0"],
    [{ REDIS_URL: "redis://x/one" }, "must end in the number of a database"],
    [{ REDIS_URL: "redis://:50%@x" }, "%25"],
    [
      { REDIS_CLUSTER_NODES: "a", REDIS_SENTINELS: "b", REDIS_MASTER_NAME: "main" },
      "REDIS_SENTINELS and REDIS_CLUSTER_NODES are both set",
    ],
  ] satisfies [Environment, string][])("refuses %o", (environment, fault) => {
    expect(faultsOf(environment)).toEqual([expect.stringContaining(fault)]);
  });
});

describe("production", () => {
  it("listens on every address", () => {
    const config = readConfig(production);
    expect(config.production).toBe(true);
    expect(config.http.host).toBe("0.0.0.0");
  });

  it("gets nothing for free", () => {
    expect(faultsOf({ NODE_ENV: "production" }).map((fault) => fault.split(" ")[0])).toEqual([
      "DATABASE_URL",
      "REDIS_URL",
      "OPENAI_API_KEY",
      "ADMIN_API_KEY",
    ]);
  });

  it("refuses an administrator's key that can be guessed", () => {
    expect(faultsOf({ ...production, ADMIN_API_KEY: "admin" })).toEqual([
      "ADMIN_API_KEY must have at least 16 characters in production",
    ]);
  });

  it("takes a server of one's own for a provider", () => {
    const { OPENAI_API_KEY: _, ...rest } = production;
    expect(faultsOf({ ...rest, OPENAI_BASE_URL: "http://models:8000/v1" })).toEqual([]);
  });
});
