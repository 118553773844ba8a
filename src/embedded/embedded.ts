import type { RedisAddress } from "../config.ts";
import { keptAdminKey } from "./admin-key.ts";
import { keptSecretKey } from "./secret-key.ts";
import { prepareDirectory } from "./directory.ts";
import { takeLock } from "./lock.ts";
import { startEmbeddedPostgres } from "./postgres.ts";
import { startEmbeddedRedis } from "./redis.ts";

/** What the machine has to be given. */
export interface EmbeddedNeeds {
  postgres: boolean;
  redis: boolean;
  adminApiKey: boolean;
  secretKey: boolean;
}

/** The servers and secrets that Tribe brings along, so that nothing has to be set up to try it. */
export interface Embedded {
  postgresUrl: string | undefined;
  redis: RedisAddress | undefined;
  adminApiKey: string | undefined;
  /** What API keys are hashed and the audit log is chained with. */
  secretKey: string | undefined;
  /** Tells a second start where this one listens. */
  announce(address: string): void;
  /** Resolves with a description when a server ends that should not have. */
  readonly failed: Promise<string>;
  /** Ends the servers, PostgreSQL last, and lets the folder go. */
  stop(): Promise<void>;
}

/**
 * Starts what is needed in the folder, which one Tribe at a time may use.
 * @throws AlreadyRunningError
 */
export async function startEmbedded(
  directory: string,
  needs: EmbeddedNeeds,
  onProgress: (message: string) => void,
): Promise<Embedded> {
  prepareDirectory(directory);
  const lock = takeLock(directory);
  const stops: (() => Promise<void>)[] = [];
  const failures: Promise<string>[] = [];

  async function stop(): Promise<void> {
    for (const stopServer of stops.toReversed()) await stopServer();
    lock.release();
  }

  try {
    const postgres = needs.postgres
      ? await startEmbeddedPostgres({ directory, onProgress })
      : undefined;
    if (postgres) {
      stops.push(postgres.stop);
      failures.push(postgres.ended.then((how) => `the embedded PostgreSQL ${how}`));
    }
    const redis = needs.redis ? await startEmbeddedRedis({ directory, onProgress }) : undefined;
    if (redis) stops.push(redis.stop);
    return {
      postgresUrl: postgres?.url,
      redis: redis?.address,
      adminApiKey: needs.adminApiKey ? keptAdminKey(directory) : undefined,
      secretKey: needs.secretKey ? keptSecretKey(directory) : undefined,
      announce: lock.announce,
      failed: failures.length === 0 ? new Promise(() => {}) : Promise.race(failures),
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
