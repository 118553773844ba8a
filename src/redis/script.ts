import { createHash } from "node:crypto";
import { ErrorReply } from "redis";
import type { Redis } from "./redis.ts";

/** A Lua script that Redis runs as one step. */
export interface RedisScript {
  readonly source: string;
  /** What Redis knows it by. */
  readonly sha: string;
}

/** Names a script by its source; nothing is sent. */
export function defineScript(source: string): RedisScript {
  return { source, sha: createHash("sha1").update(source).digest("hex") };
}

/**
 * Runs the script in one round trip; in two when Redis does not know it yet or forgot it in a
 * restart. In a cluster all keys must share a hash tag, for example `{user:1}:requests`.
 */
export async function runScript<Reply = unknown>(
  redis: Redis,
  script: RedisScript,
  keys: readonly [string, ...string[]],
  args: readonly string[] = [],
): Promise<Reply> {
  const rest = [String(keys.length), ...keys, ...args];
  try {
    return await redis.command<Reply>(keys[0], ["EVALSHA", script.sha, ...rest]);
  } catch (error) {
    if (!(error instanceof ErrorReply) || !error.message.startsWith("NOSCRIPT")) throw error;
    return redis.command<Reply>(keys[0], ["EVAL", script.source, ...rest]);
  }
}
