/**
 * Makes the secrets of docker-compose.yml that are not there yet, each as a file that only its
 * service can read: `node deploy/setup.ts FOLDER`. What is there stays as it is.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { makeCertificate } from "./certificate.ts";

/** The users that the containers run as. */
const users = { app: 65_532, migrate: 65_532, postgres: 999, redis: 999, edge: 101, grafana: 472 };

const folder = process.argv[2];
if (folder === undefined) throw new Error("name the folder of the secrets");
const isRoot = process.getuid?.() === 0;

/** The content of a file; made by `make` if there is none. */
function secret(
  service: keyof typeof users,
  name: string,
  make: () => string,
  mode = 0o400,
): string {
  const path = join(folder ?? "", service, name);
  if (!existsSync(path)) {
    writeFileSync(path, make(), { mode: 0o600 });
    process.stdout.write(`Made ${service}/${name}.\n`);
  }
  protect(path, service, mode);
  return readFileSync(path, "utf8").trim();
}

function protect(path: string, service: keyof typeof users, mode: number): void {
  chmodSync(path, mode);
  if (isRoot) chownSync(path, users[service], users[service]);
}

const password = () => randomBytes(24).toString("base64url");

for (const service of Object.keys(users) as (keyof typeof users)[]) {
  mkdirSync(join(folder, service), { recursive: true });
}
mkdirSync(join(folder, "postgres/init"), { recursive: true });

secret("postgres", "password", password);
const owner = secret("postgres", "owner-password", password);
const service = secret("postgres", "service-password", password);
// Read by PostgreSQL's container once, when its volume is empty (docs/database-roles.md).
secret("postgres", "init/roles.sql", () =>
  [
    `create role tribe_owner login password '${owner}';`,
    `create role tribe_service login password '${service}';`,
    "create database tribe owner tribe_owner;",
    "",
  ].join("\n"),
);
secret("migrate", "database-url", () => `postgres://tribe_owner:${owner}@postgres:5432/tribe`);
secret("app", "database-url", () => `postgres://tribe_service:${service}@postgres:5432/tribe`);

const redis = secret("redis", "password", password);
secret("redis", "redis.conf", () =>
  [
    `requirepass ${redis}`,
    "dir /data",
    "appendonly yes",
    "save ''",
    // Limits and runs under way are small; a full Redis refuses instead of forgetting them.
    "maxmemory 384mb",
    "maxmemory-policy noeviction",
    "",
  ].join("\n"),
);
secret("app", "redis-url", () => `redis://:${redis}@redis:6379/0`);
secret("app", "admin-api-key", password);
secret("app", "secret-key", () => randomBytes(48).toString("base64url"));
secret("grafana", "admin-password", password);
secret("grafana", "secret-key", password);

// Both or neither: a key belongs to its certificate.
if (!existsSync(join(folder, "edge/certificate.pem"))) {
  const { certificate, key } = makeCertificate(365);
  secret("edge", "certificate.key", () => key);
  secret("edge", "certificate.pem", () => certificate, 0o444);
}
secret("edge", "certificate.key", () => {
  throw new Error("edge/certificate.pem has no certificate.key beside it");
});
secret("edge", "certificate.pem", () => "", 0o444);

for (const name of Object.keys(users) as (keyof typeof users)[]) {
  // Of the edge's folder everybody may read the certificate.
  protect(join(folder, name), name, name === "edge" ? 0o755 : 0o700);
}
protect(join(folder, "postgres/init"), "postgres", 0o700);
