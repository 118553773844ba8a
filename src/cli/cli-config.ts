import { resolve } from "node:path";
import {
  ConfigError,
  type ContentConfig,
  type Environment,
  type IdentityConfig,
  type PostgresConfig,
  readContentConfig,
  readPostgresConfig,
} from "../config.ts";
import { readIdentityConfig } from "../config-identity.ts";
import { type ConfigReader, createConfigReader } from "../config-reader.ts";

/** What the environment says to the command line; nothing of providers, Redis and ports. */
export interface CliConfig {
  readonly production: boolean;
  readonly identity: IdentityConfig;
  readonly content: ContentConfig;
  /** The database to work on. Undefined: only a service can be asked. */
  readonly database: (PostgresConfig & { readonly url: string }) | undefined;
  /** The role that the service connects as, when it is not the one that migrates. */
  readonly serviceRole: string | undefined;
  /** The service to ask. */
  readonly server: string | undefined;
  readonly apiKey: string | undefined;
  /** Absolute path of the folder of the embedded servers. */
  readonly directory: string;
}

/**
 * Reads it.
 * @throws ConfigError that lists every fault.
 */
export function readCliConfig(environment: Environment): CliConfig {
  const reader = createConfigReader(environment);
  const production =
    reader.choice("NODE_ENV", ["development", "test", "production"]) === "production";
  const { url, ...postgres } = readPostgresConfig(reader);
  const config: CliConfig = {
    production,
    identity: readIdentityConfig(reader, production),
    content: readContentConfig(reader),
    database: url === undefined ? undefined : { url, ...postgres },
    serviceRole: readRole(reader),
    server: reader.text("TRIBE_SERVER"),
    apiKey: reader.text("TRIBE_API_KEY"),
    directory: resolve(reader.text("TRIBE_DIR") ?? ".tribe"),
  };
  if (reader.faults.length > 0) throw new ConfigError(reader.faults);
  return config;
}

function readRole(reader: ConfigReader): string | undefined {
  const role = reader.text("DATABASE_SERVICE_ROLE");
  if (role === undefined || /^[A-Za-z_][A-Za-z0-9_-]{0,62}$/.test(role)) return role;
  reader.fault("DATABASE_SERVICE_ROLE", "must be a name of letters, digits, _ and -");
  return undefined;
}
