import { resolve } from "node:path";
import { type IdentityConfig, readIdentityConfig } from "./config-identity.ts";
import { type PostgresConfig, readPostgresConfig } from "./config-postgres.ts";
import { type RedisAddress, readRedisConfig } from "./config-redis.ts";
import { createConfigReader, readSecret, type ConfigReader } from "./config-reader.ts";
import type { Environment, NetworkAddress } from "./config-reader.ts";
import { readTelemetryConfig, type TelemetryConfig } from "./config-telemetry.ts";

export { configKeys } from "./config-keys.ts";
export { type PostgresConfig, readPostgresConfig } from "./config-postgres.ts";
export type { RedisAddress, RedisCredentials } from "./config-redis.ts";
export type { IdentityConfig } from "./config-identity.ts";
export type { Environment, NetworkAddress } from "./config-reader.ts";
export type { TelemetryConfig } from "./config-telemetry.ts";
export type { TlsTrust } from "./config-tls.ts";

/** A provider's account. A base URL without a key is legal: a server of one's own may need none. */
export interface ProviderAccount {
  readonly apiKey: string | undefined;
  readonly baseUrl: string | undefined;
}

/** How what people and models say is kept at rest. */
export interface ContentConfig {
  /** The newest first: it seals, all of them open. None: nothing was ever sealed. */
  readonly secrets: readonly string[];
  /** Whether what is new is sealed. */
  readonly isSealing: boolean;
}

/** Everything that the environment says, validated once and frozen. */
export interface Config {
  /** NODE_ENV is `production`: nothing embedded, every secret given. */
  readonly production: boolean;
  readonly http: NetworkAddress;
  readonly grpc: NetworkAddress & { readonly reflection: boolean };
  /** Where `/metrics` is read. Undefined: nothing is measured. */
  readonly metrics: NetworkAddress | undefined;
  /** Proxies that are believed who calls: IP addresses and `address/prefix`. */
  readonly trustedProxies: readonly string[];
  /** Browser origins that may call REST; `*` for all, empty for none. */
  readonly corsOrigins: "*" | readonly string[];
  readonly postgres: PostgresConfig;
  /** `embedded`: a redis-server found on the PATH, else in-process. */
  readonly redis: RedisAddress | { readonly kind: "embedded" };
  /** A provider is undefined when neither its key nor its base URL is set. */
  readonly providers: {
    readonly openai: ProviderAccount | undefined;
    readonly anthropic: ProviderAccount | undefined;
    readonly defaultModel: string | undefined;
    readonly modelsFile: string | undefined;
    /** Gives the keys that MODELS_FILE refers to; throws when one cannot be read. */
    readonly readSecret: (name: string) => string | undefined;
  };
  readonly identity: IdentityConfig;
  /** How what people and models say is kept. */
  readonly content: ContentConfig;
  readonly log: { readonly level: LogLevel };
  readonly telemetry: TelemetryConfig;
  /** From where on calls are refused rather than taken on. */
  readonly overload: {
    /** Calls and runs under way, of each. */
    readonly calls: number;
    /** Average lateness of the event loop. */
    readonly eventLoopDelayMs: number;
  };
  /** After which silence the process of a run counts as dead. */
  readonly runLeaseMs: number;
  /** How long calls are still taken after Tribe is not ready any more, when it is stopped. */
  readonly shutdownPauseMs: number;
  /** How long running turns get to finish when Tribe is stopped. */
  readonly shutdownTimeoutMs: number;
  /** Absolute path of the folder of the embedded servers. */
  readonly directory: string;
}

const logLevels = ["trace", "debug", "info", "warn", "error", "fatal", "silent"] as const;

/** How much is logged. */
export type LogLevel = (typeof logLevels)[number];

/** The environment cannot be run with. The message lists every fault, one a line. */
export class ConfigError extends Error {
  override readonly name = "ConfigError";
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(
      `The configuration has ${faults.length === 1 ? "a fault" : "faults"}:\n- ${faults.join("\n- ")}`,
    );
    this.faults = faults;
  }
}

/**
 * Reads the whole configuration.
 * @throws ConfigError that lists every fault.
 */
export function readConfig(environment: Environment): Config {
  const reader = createConfigReader(environment);
  const nodeEnvironment = reader.choice("NODE_ENV", ["development", "test", "production"]);
  const production = nodeEnvironment === "production";
  const host = reader.text("HOST") ?? (production ? "0.0.0.0" : "127.0.0.1");
  const config: Config = {
    production,
    http: { host, port: reader.integer("HTTP_PORT", 0, 65_535) ?? 8080 },
    grpc: {
      host,
      port: reader.integer("GRPC_PORT", 0, 65_535) ?? 9090,
      reflection: reader.choice("GRPC_REFLECTION", ["on", "off"]) !== "off",
    },
    metrics: readMetrics(reader, host),
    trustedProxies: reader.networks("TRUSTED_PROXIES"),
    corsOrigins: readCorsOrigins(reader),
    postgres: readPostgresConfig(reader),
    redis: readRedisConfig(reader),
    providers: {
      openai: readAccount(reader, "OPENAI_API_KEY", "OPENAI_BASE_URL"),
      anthropic: readAccount(reader, "ANTHROPIC_API_KEY", "ANTHROPIC_BASE_URL"),
      defaultModel: reader.text("DEFAULT_MODEL"),
      modelsFile: reader.text("MODELS_FILE"),
      readSecret: (name) => readSecret(environment, name),
    },
    identity: readIdentityConfig(reader, production),
    content: readContentConfig(reader),
    log: { level: reader.choice("LOG_LEVEL", logLevels) ?? "info" },
    telemetry: readTelemetryConfig(reader, nodeEnvironment ?? "development"),
    overload: {
      calls: reader.integer("MAX_CALLS", 1, 1_000_000) ?? 5_000,
      eventLoopDelayMs: reader.integer("MAX_EVENT_LOOP_DELAY", 10, 60_000) ?? 500,
    },
    runLeaseMs: (reader.integer("RUN_LEASE", 1, 120) ?? 30) * 1000,
    shutdownPauseMs: (reader.integer("SHUTDOWN_PAUSE", 0, 600) ?? (production ? 5 : 0)) * 1000,
    shutdownTimeoutMs: (reader.integer("SHUTDOWN_TIMEOUT", 0, 3600) ?? 30) * 1000,
    directory: resolve(reader.text("TRIBE_DIR") ?? ".tribe"),
  };
  if (config.http.port !== 0 && config.http.port === config.grpc.port)
    reader.fault("GRPC_PORT", `must differ from HTTP_PORT, both are ${config.grpc.port}`);
  const metricsPort = config.metrics?.port ?? 0;
  if (metricsPort !== 0 && [config.http.port, config.grpc.port].includes(metricsPort))
    reader.fault("METRICS_PORT", `must differ from the other ports, ${metricsPort} is one of them`);
  if (production) requireProductionKeys(reader);
  if (reader.faults.length > 0) throw new ConfigError(reader.faults);
  return deepFreeze(config);
}

/** What a development machine gets for free, production must be given. */
function requireProductionKeys(reader: ConfigReader) {
  const isSet = (name: Parameters<ConfigReader["text"]>[0]) => reader.text(name) !== undefined;
  if (!isSet("DATABASE_URL"))
    reader.fault(
      "DATABASE_URL",
      "is required in production: the embedded PostgreSQL is for trying out",
    );
  if (!isSet("REDIS_URL") && !isSet("REDIS_SENTINELS") && !isSet("REDIS_CLUSTER_NODES"))
    reader.fault(
      "REDIS_URL",
      "(or REDIS_SENTINELS, or REDIS_CLUSTER_NODES) is required in production",
    );
  const isAnySet = [
    "OPENAI_API_KEY",
    "OPENAI_BASE_URL",
    "ANTHROPIC_API_KEY",
    "MODELS_FILE",
  ] as const;
  if (!isAnySet.some(isSet))
    reader.fault(
      "OPENAI_API_KEY",
      "(or ANTHROPIC_API_KEY, OPENAI_BASE_URL or MODELS_FILE) is required in production: the demo model is for trying out",
    );
  if (!isSet("ADMIN_API_KEY") && !isSet("SECRET_KEY"))
    reader.fault(
      "ADMIN_API_KEY",
      "is required in production, or SECRET_KEY and an administrator that `tribe users create --admin` has made: without it nobody could sign in",
    );
}

/** Reads how content is kept, and collects faults in the reader. */
export function readContentConfig(reader: ConfigReader): ContentConfig {
  const given = (reader.text("CONTENT_KEY")?.split(",") ?? []).map((key) => key.trim());
  const isSealing = given.length > 0 && given[0] !== "none";
  const secrets = isSealing ? given : given.slice(1);
  if (secrets.some((secret) => Buffer.byteLength(secret) < 32))
    reader.fault(
      "CONTENT_KEY",
      "must be secrets of at least 32 bytes with commas between them, the newest first; `none` in front of them seals nothing more",
    );
  return { secrets, isSealing };
}

function readMetrics(reader: ConfigReader, host: string): Config["metrics"] {
  if (reader.text("METRICS_PORT") === "off") return undefined;
  return { host, port: reader.integer("METRICS_PORT", 0, 65_535) ?? 9464 };
}

function readAccount(
  reader: ConfigReader,
  keyName: "OPENAI_API_KEY" | "ANTHROPIC_API_KEY",
  baseUrlName: "OPENAI_BASE_URL" | "ANTHROPIC_BASE_URL",
): ProviderAccount | undefined {
  const apiKey = reader.text(keyName);
  const baseUrl = reader.url(baseUrlName, ["https", "http"]);
  // The key is what authenticates: no request could carry both.
  if (baseUrl !== undefined && new URL(baseUrl).username !== "")
    reader.fault(baseUrlName, "must have no user and password in it");
  return apiKey === undefined && baseUrl === undefined ? undefined : { apiKey, baseUrl };
}

function deepFreeze<T extends object>(value: T): T {
  for (const child of Object.values(value))
    if (typeof child === "object" && child !== null) deepFreeze(child as object);
  return Object.freeze(value);
}

function readCorsOrigins(reader: ConfigReader): "*" | readonly string[] {
  const text = reader.text("CORS_ORIGINS");
  if (text === undefined) return [];
  if (text === "*") return text;
  const origins = text.split(",").map((origin) => origin.trim());
  if (origins.every((origin) => URL.canParse(origin) && new URL(origin).origin === origin)) {
    return origins;
  }
  reader.fault(
    "CORS_ORIGINS",
    "must be `*` or comma-separated origins like https://app.example.com",
  );
  return [];
}
