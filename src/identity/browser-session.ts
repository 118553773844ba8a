/** What is known of a cookie. */
export interface BrowserSession {
  /** UUIDv7 of the session's row. */
  sessionId: string;
  userId: string;
  /** Milliseconds since 1970; whatever happens, it ends then. */
  expireTime: number;
}

/** Sessions of cookies, by the keyed hashes of these. */
export interface BrowserSessionStore {
  save(hash: string, session: BrowserSession): Promise<void>;
  /** The session, if it was used within the idle timeout, which begins anew with this. */
  use(hash: string): Promise<BrowserSession | undefined>;
  remove(hash: string): Promise<void>;
  /** Removes all of a user's. */
  removeAll(userId: string): Promise<void>;
}

/** Keeps sessions in this process: only where there is no Redis at all. */
export function createMemoryBrowserSessions(idleSeconds: number): BrowserSessionStore {
  const sessions = new Map<string, { session: BrowserSession; idleEnd: number }>();
  const idleEnd = () => Date.now() + idleSeconds * 1000;
  function removeEnded() {
    for (const [hash, { idleEnd }] of sessions) if (idleEnd <= Date.now()) sessions.delete(hash);
  }
  return {
    async save(hash, session) {
      removeEnded();
      sessions.set(hash, { session, idleEnd: idleEnd() });
    },
    async use(hash) {
      const kept = sessions.get(hash);
      if (kept === undefined || kept.idleEnd <= Date.now()) return undefined;
      kept.idleEnd = idleEnd();
      return kept.session;
    },
    async remove(hash) {
      sessions.delete(hash);
    },
    async removeAll(userId) {
      for (const [hash, { session }] of sessions) {
        if (session.userId === userId) sessions.delete(hash);
      }
    },
  };
}
