import { resolve } from "node:path";
import {
  ConfigError,
  type Environment,
  type IdentityConfig,
  type PostgresConfig,
  readPostgresConfig,
} from "../config.ts";
import { readIdentityConfig } from "../config-identity.ts";
import { createConfigReader } from "../config-reader.ts";

/** What the environment says to the command line; nothing of providers, Redis and ports. */
export interface CliConfig {
  readonly production: boolean;
  readonly identity: IdentityConfig;
  /** The database to work on. Undefined: only a service can be asked. */
  readonly database: (PostgresConfig & { readonly url: string }) | undefined;
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
    database: url === undefined ? undefined : { url, ...postgres },
    server: reader.text("TRIBE_SERVER"),
    apiKey: reader.text("TRIBE_API_KEY"),
    directory: resolve(reader.text("TRIBE_DIR") ?? ".tribe"),
  };
  if (reader.faults.length > 0) throw new ConfigError(reader.faults);
  return config;
}
