import { DomainError } from "../errors.ts";
import type { Redis } from "../redis/redis.ts";
import { defineScript, runScript } from "../redis/script.ts";
import { createMemoryGuardStore, forgetSeconds, type GuardStore } from "./sign-in-guard.ts";

/**
 * KEYS[1] the subject; ARGV: free attempts, longest wait in seconds, seconds until it is
 * forgotten. Gives how many seconds to wait. The same sum as `waitAfter`, in milliseconds: a
 * second that is counted from its end on would be none.
 */
const attemptScript = defineScript(`
local clock = redis.call('TIME')
local time = clock[1] * 1000 + math.floor(clock[2] / 1000)
local open = tonumber(redis.call('HGET', KEYS[1], 'open') or '0')
if open > time then return math.ceil((open - time) / 1000) end
local attempts = redis.call('HINCRBY', KEYS[1], 'attempts', 1)
local free = tonumber(ARGV[1])
if attempts >= free then
  local wait = math.min(tonumber(ARGV[2]), 2 ^ math.min(attempts - free, 30))
  redis.call('HSET', KEYS[1], 'open', time + wait * 1000)
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

/**
 * Counts in Redis, for all processes, and beside it in this one, which is asked alone while Redis
 * is away: whoever has used up the attempts gets no new ones by that.
 */
export function createRedisGuardStore(redis: Redis): GuardStore {
  const own = createMemoryGuardStore();
  const keyOf = (key: string) => `tribe:sign-in:${key}`;
  const blockKeyOf = (key: string) => `tribe:sign-in-block:${key}`;
  return {
    async attempt(subject) {
      const { free, longestSeconds } = subject.rule;
      const ownWait = await own.attempt(subject);
      const args = [String(free), String(longestSeconds), String(forgetSeconds)];
      try {
        return await runScript<number>(redis, attemptScript, [keyOf(subject.key)], args);
      } catch (error) {
        return unlessAway(error, ownWait);
      }
    },
    async forgive(subject, all) {
      await own.forgive(subject, all);
      const key = keyOf(subject.key);
      try {
        if (!all) await runScript(redis, forgiveScript, [key]);
        // Two commands: a cluster may have the keys on two nodes.
        else
          for (const one of [key, blockKeyOf(subject.key)]) await redis.command(one, ["DEL", one]);
      } catch (error) {
        unlessAway(error, undefined);
      }
    },
    async block(subject, seconds) {
      await own.block(subject, seconds);
      const key = blockKeyOf(subject.key);
      await redis
        .command(key, ["SET", key, "1", "EX", String(seconds)])
        .catch((error: unknown) => unlessAway(error, undefined));
    },
    async blockedFor(subject) {
      const ownSeconds = await own.blockedFor(subject);
      const key = blockKeyOf(subject.key);
      try {
        return Math.max(0, await redis.command<number>(key, ["TTL", key]));
      } catch (error) {
        return unlessAway(error, ownSeconds);
      }
    },
  };
}

/** The value, if Redis is away; any other error is thrown. */
function unlessAway<T>(error: unknown, value: T): T {
  if (error instanceof DomainError && error.code === "UNAVAILABLE") return value;
  throw error;
}
