import type { Redis } from "../redis/redis.ts";
import type { BrowserSession, BrowserSessionStore } from "./browser-session.ts";

/** Keeps sessions in Redis, for all processes. Fails with UNAVAILABLE while Redis is away. */
export function createRedisBrowserSessions(redis: Redis, idleSeconds: number): BrowserSessionStore {
  const keyOf = (hash: string) => `tribe:session:${hash}`;
  /** Which sessions a user has, so that they can be found again; may name some that have ended. */
  const listOf = (userId: string) => `tribe:sessions:${userId}`;
  return {
    async save(hash, session) {
      const key = keyOf(hash);
      const value = JSON.stringify(session);
      const list = listOf(session.userId);
      await redis.command(list, ["SADD", list, hash]);
      await redis.command(list, ["PEXPIREAT", list, String(session.expireTime)]);
      await redis.command(key, ["SET", key, value, "EX", String(idleSeconds)]);
    },
    async use(hash) {
      const key = keyOf(hash);
      const value = await redis.command<string | null>(key, [
        "GETEX",
        key,
        "EX",
        String(idleSeconds),
      ]);
      return value === null ? undefined : (JSON.parse(value) as BrowserSession);
    },
    async remove(hash) {
      const key = keyOf(hash);
      await redis.command(key, ["DEL", key]);
    },
    async removeAll(userId) {
      const list = listOf(userId);
      for (const hash of await redis.command<Iterable<string>>(list, ["SMEMBERS", list])) {
        await redis.command(keyOf(hash), ["DEL", keyOf(hash)]);
      }
      await redis.command(list, ["DEL", list]);
    },
  };
}
