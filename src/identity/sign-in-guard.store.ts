import { DomainError } from "../errors.ts";
import type { Redis } from "../redis/redis.ts";
import { defineScript, runScript } from "../redis/script.ts";
import { createMemoryGuardStore, forgetSeconds, type GuardStore } from "./sign-in-guard.ts";

/**
 * KEYS[1] the subject; ARGV: free attempts, longest wait in seconds, seconds until it is
 * forgotten. Gives how many seconds to wait. The same sum as `waitAfter`.
 */
const attemptScript = defineScript(`
local time = tonumber(redis.call('TIME')[1])
local open = tonumber(redis.call('HGET', KEYS[1], 'open') or '0')
if open > time then return open - time end
local attempts = redis.call('HINCRBY', KEYS[1], 'attempts', 1)
local free = tonumber(ARGV[1])
if attempts >= free then
  local wait = math.min(tonumber(ARGV[2]), 2 ^ math.min(attempts - free, 30))
  redis.call('HSET', KEYS[1], 'open', time + wait)
end
redis.call('EXPIRE', KEYS[1], ARGV[3])
return 0
`);

/** KEYS[1] the subject. Takes back one attempt. */
const forgiveScript = defineScript(`
if redis.call('HINCRBY', KEYS[1], 'attempts', -1) <= 0 then
  redis.call('DEL', KEYS[1])
else
  redis.call('HDEL', KEYS[1], 'open')
end
return 0
`);

/** Counts in Redis, for all processes; in this one alone while Redis is away. */
export function createRedisGuardStore(redis: Redis): GuardStore {
  const fallback = createMemoryGuardStore();
  const keyOf = (key: string) => `tribe:sign-in:${key}`;

  async function orFallback<T>(ask: () => Promise<T>, instead: () => Promise<T>): Promise<T> {
    try {
      return await ask();
    } catch (error) {
      if (error instanceof DomainError && error.code === "UNAVAILABLE") return instead();
      throw error;
    }
  }
  return {
    attempt: (subject) =>
      orFallback(
        () => {
          const { free, longestSeconds } = subject.rule;
          const args = [String(free), String(longestSeconds), String(forgetSeconds)];
          return runScript<number>(redis, attemptScript, [keyOf(subject.key)], args);
        },
        () => fallback.attempt(subject),
      ),
    forgive: (subject, all) =>
      orFallback(
        async () => {
          const key = keyOf(subject.key);
          if (all) await redis.command(key, ["DEL", key]);
          else await runScript(redis, forgiveScript, [key]);
        },
        () => fallback.forgive(subject, all),
      ),
  };
}
