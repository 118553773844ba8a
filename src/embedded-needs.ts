/** What of the embedded default the configuration leaves to Tribe. */
import type { Config } from "./config.ts";
import type { Embedded } from "./embedded/embedded.ts";

/** Starts and makes what is needed; undefined when nothing is. */
export async function startNeeded(
  { production, postgres, redis, identity, directory }: Config,
  onProgress: (message: string) => void,
): Promise<Embedded | undefined> {
  const needs = {
    postgres: postgres.url === undefined,
    redis: redis.kind === "embedded",
    // In production an operator makes the first administrator instead.
    adminApiKey: identity.adminApiKey === undefined && !production,
    // Several instances on one database must have the same secret.
    secretKey:
      identity.secretKeys.length === 0 &&
      (postgres.url === undefined || identity.adminApiKey === undefined),
  };
  if (!Object.values(needs).includes(true)) return undefined;
  // Production never needs it, nor the memory that it takes.
  const { startEmbedded } = await import("./embedded/embedded.ts");
  return startEmbedded(directory, needs, onProgress);
}
