import type { Redis } from "../redis/redis.ts";
import type { BrowserSession, BrowserSessionStore } from "./browser-session.ts";

/** Keeps sessions in Redis, for all processes. Fails with UNAVAILABLE while Redis is away. */
export function createRedisBrowserSessions(redis: Redis, idleSeconds: number): BrowserSessionStore {
  const keyOf = (hash: string) => `tribe:session:${hash}`;
  return {
    async save(hash, session) {
      const key = keyOf(hash);
      const value = JSON.stringify(session);
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
  };
}
