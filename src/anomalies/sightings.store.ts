import { DomainError } from "../errors.ts";
import type { Redis } from "../redis/redis.ts";
import { defineScript, runScript } from "../redis/script.ts";
import { createMemorySightings, type Sightings } from "./sightings.ts";

/** KEYS[1] the count; ARGV: how many more, window in milliseconds, limit. */
const countScript = defineScript(`
local count = redis.call('HINCRBY', KEYS[1], 'count', ARGV[1])
if count == tonumber(ARGV[1]) then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
if count < tonumber(ARGV[3]) then return 0 end
return redis.call('HSETNX', KEYS[1], 'told', '1') * count
`);

/** KEYS[1] the members by when they were last seen, KEYS[2] whether it was told; ARGV: window in milliseconds, limit, the members. */
const distinctScript = defineScript(`
local clock = redis.call('TIME')
local time = clock[1] * 1000 + math.floor(clock[2] / 1000)
for index = 3, #ARGV do redis.call('ZADD', KEYS[1], time, ARGV[index]) end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', time - tonumber(ARGV[1]))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
local count = redis.call('ZCARD', KEYS[1])
if count < tonumber(ARGV[2]) then return 0 end
return redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[1]) and count or 0
`);

/** Counts in Redis, for all processes; in this one alone while Redis is away. */
export function createRedisSightings(redis: Redis): Sightings {
  const fallback = createMemorySightings();

  function orFallback(ask: Promise<number>, instead: () => Promise<number>): Promise<number> {
    return ask.catch((error: unknown) => {
      if (error instanceof DomainError && error.code === "UNAVAILABLE") return instead();
      throw error;
    });
  }
  // The braces make one hash tag of it, so that a cluster has both keys on one node.
  const keyOf = (key: string) => `tribe:sightings:{${key}}`;
  return {
    count: (rule, more) =>
      orFallback(
        runScript<number>(
          redis,
          countScript,
          [keyOf(rule.key)],
          [String(more), String(rule.windowMs), String(rule.limit)],
        ),
        () => fallback.count(rule, more),
      ),
    distinct: (rule, members) =>
      orFallback(
        runScript<number>(
          redis,
          distinctScript,
          [keyOf(rule.key), `${keyOf(rule.key)}:told`],
          [String(rule.windowMs), String(rule.limit), ...members],
        ),
        () => fallback.distinct(rule, members),
      ),
  };
}
