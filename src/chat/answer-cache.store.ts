/**
 * Which run has answered a question, and who is asking it now. Only run ids are kept: the
 * answer itself stays in the database, so whoever deletes a conversation deletes what the
 * cache could give of it.
 */
import { defineScript, runScript } from "../redis/script.ts";
import type { Redis } from "../redis/redis.ts";

/** How a question stands. */
export type CacheState =
  /** This run has answered it. */
  | { state: "answered"; runId: string }
  /** Nobody has, and from now on the owner is the one who asks. */
  | { state: "leading" }
  /** Somebody is asking. */
  | { state: "asked" };

/** Questions by digest. */
export interface AnswerCacheStore {
  look(digest: string, owner: string): Promise<CacheState>;
  /** Says that the owner still asks; without that, it counts as dead after `leaseMs`. */
  renew(digest: string, owner: string): Promise<void>;
  /** The run has answered it; for so long it may be given again. */
  keep(digest: string, owner: string, runId: string, seconds: number): Promise<void>;
  /** The owner asks no more, and there is no answer. */
  release(digest: string, owner: string): Promise<void>;
}

/** How long a process may be silent before another one asks in its place, milliseconds. */
export const leaseMs = 15_000;

const look = defineScript(`
local run = redis.call('GET', KEYS[1])
if run then return run end
if redis.call('SET', KEYS[2], ARGV[1], 'NX', 'PX', ARGV[2]) then return 1 end
return 0`);
const renew = defineScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return 0`);
const keep = defineScript(`
redis.call('SET', KEYS[1], ARGV[2], 'EX', ARGV[3])
if redis.call('GET', KEYS[2]) == ARGV[1] then redis.call('DEL', KEYS[2]) end
return 0`);
const release = defineScript(`
if redis.call('GET', KEYS[1]) == ARGV[1] then redis.call('DEL', KEYS[1]) end
return 0`);

/** Shared by all processes. Fails as Redis fails. */
export function createRedisAnswerCache(redis: Redis): AnswerCacheStore {
  // The braces make one hash tag of it, so that both keys are on one node of a cluster.
  const answerKey = (digest: string) => `tribe:answer:{${digest}}`;
  const leaseKey = (digest: string) => `tribe:answer:{${digest}}:lease`;
  return {
    async look(digest, owner) {
      const keys = [answerKey(digest), leaseKey(digest)] as const;
      const reply = await runScript<string | number>(redis, look, keys, [owner, String(leaseMs)]);
      if (typeof reply === "string") return { state: "answered", runId: reply };
      return { state: reply === 1 ? "leading" : "asked" };
    },
    async renew(digest, owner) {
      await runScript(redis, renew, [leaseKey(digest)], [owner, String(leaseMs)]);
    },
    async keep(digest, owner, runId, seconds) {
      const keys = [answerKey(digest), leaseKey(digest)] as const;
      await runScript(redis, keep, keys, [owner, runId, String(seconds)]);
    },
    async release(digest, owner) {
      await runScript(redis, release, [leaseKey(digest)], [owner]);
    },
  };
}

/** The most questions that one process remembers without Redis. */
const mostKept = 10_000;

/** For a process without Redis, which is the only one. Leases need no end: they die with it. */
export function createMemoryAnswerCache(): AnswerCacheStore {
  const answers = new Map<string, { runId: string; expires: number }>();
  const owners = new Map<string, string>();
  return {
    async look(digest, owner) {
      const answer = answers.get(digest);
      if (answer !== undefined && answer.expires > performance.now()) {
        return { state: "answered", runId: answer.runId };
      }
      if (owners.has(digest)) return { state: "asked" };
      owners.set(digest, owner);
      return { state: "leading" };
    },
    async renew() {},
    async keep(digest, owner, runId, seconds) {
      if (owners.get(digest) === owner) owners.delete(digest);
      // Inserted anew, so that the first key is the oldest.
      answers.delete(digest);
      answers.set(digest, { runId, expires: performance.now() + seconds * 1000 });
      if (answers.size <= mostKept) return;
      for (const oldest of answers.keys()) {
        answers.delete(oldest);
        return;
      }
    },
    async release(digest, owner) {
      if (owners.get(digest) === owner) owners.delete(digest);
    },
  };
}
