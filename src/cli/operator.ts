import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Client } from "@connectrpc/connect";
import type { AdminService } from "../../gen/tribe/v1/admin_pb.js";
import type { IdentityService } from "../../gen/tribe/v1/identity_pb.js";
import type { Environment } from "../config.ts";
import { type CliConfig, readCliConfig } from "./cli-config.ts";
import type { Given } from "./command.ts";
import { OperatorError } from "./usage-error.ts";

/** What commands ask: the same services, whether they run elsewhere or here on the database. */
export interface Operator {
  readonly identity: Client<typeof IdentityService>;
  readonly admin: Client<typeof AdminService>;
  /** What is asked, in words. */
  readonly where: string;
  close(): Promise<void>;
}

/** Where a service of one's own machine listens. */
const defaultServer = "127.0.0.1:9090";

/**
 * Reaches the service that `--server` or TRIBE_SERVER names. Without one it is the database of
 * DATABASE_URL, as on first set-up, and without that the service on this machine.
 */
export async function connectOperator(environment: Environment, given: Given): Promise<Operator> {
  const config = readCliConfig(environment);
  const server = given.text("server") ?? config.server;
  if (server === undefined && config.database !== undefined) {
    // Either way takes its time to load: only the one that is used is.
    const { connectDatabase } = await import("./database.ts");
    return connectDatabase({ ...config, database: config.database });
  }
  const { connectService } = await import("./service.ts");
  return connectService(server ?? defaultServer, findKey(config, given));
}

function findKey(config: CliConfig, given: Given): string {
  const file = given.text("key-file");
  if (file !== undefined) return readKey(file);
  if (config.apiKey !== undefined) return config.apiKey;
  const kept = join(config.directory, "admin-key");
  if (existsSync(kept)) return readKey(kept);
  throw new OperatorError(
    "No API key to ask the service with: set TRIBE_API_KEY, or TRIBE_API_KEY_FILE or --key-file " +
      "to a file that holds it. On first set-up set DATABASE_URL instead of a server, and make " +
      "an administrator with `tribe users create --admin`.",
  );
}

function readKey(file: string): string {
  try {
    const key = readFileSync(file, "utf8").trim();
    if (key !== "") return key;
  } catch (error) {
    throw new OperatorError(`The API key cannot be read: ${(error as Error).message}`);
  }
  throw new OperatorError(`The file of the API key is empty: ${file}`);
}
