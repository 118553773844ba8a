import type { Caller } from "./caller.ts";

/** Whom a credential belongs to, and until when that may be believed. */
export interface Principal {
  readonly caller: Caller;
  /** What a change of ends it: `user:<id>`, `key:<id>`, `session:<id>`. */
  readonly subjects: readonly string[];
  /** Milliseconds since 1970; then it is looked up again. */
  readonly expireTime: number;
}

/** A principal in the cache. */
export interface CachedPrincipal extends Principal {
  readonly digest: string;
  /** Of the last use that was noted, in minutes since 1970. */
  usedMinute: number;
  /** Whether it was used since it was last passed over for eviction. */
  isUsed: boolean;
}

/** Verified credentials by their digests. Bounded; the least used are forgotten first. */
export interface PrincipalCache {
  find(digest: string): CachedPrincipal | undefined;
  /** Grows with everything that is forgotten. */
  epoch(): number;
  /**
   * Remembers what was looked up since `epoch`; not if something was forgotten meanwhile, which
   * may have been this.
   */
  remember(digest: string, principal: Principal, epoch: number): CachedPrincipal;
  /** Forgets all credentials of a subject. */
  forget(subject: string): void;
  clear(): void;
  readonly size: number;
}

/** A cache of at most `limit` principals; an API key takes about 1 kB. */
export function createPrincipalCache(limit: number): PrincipalCache {
  const principals = new Map<string, CachedPrincipal>();
  const bySubject = new Map<string, Set<CachedPrincipal>>();
  let epoch = 0;

  function remove(principal: CachedPrincipal) {
    if (principals.get(principal.digest) === principal) principals.delete(principal.digest);
    for (const subject of principal.subjects) {
      const set = bySubject.get(subject);
      set?.delete(principal);
      if (set?.size === 0) bySubject.delete(subject);
    }
  }
  /** Second chance: a used one goes to the end of the queue once. */
  function evict() {
    for (const [digest, principal] of principals) {
      if (!principal.isUsed) return remove(principal);
      principal.isUsed = false;
      principals.delete(digest);
      principals.set(digest, principal);
    }
  }

  return {
    find: (digest) => principals.get(digest),
    epoch: () => epoch,
    remember(digest, principal, since) {
      const cached = { ...principal, digest, usedMinute: 0, isUsed: false };
      if (since !== epoch) return cached;
      const earlier = principals.get(digest);
      if (earlier !== undefined) remove(earlier);
      while (principals.size >= limit) evict();
      principals.set(digest, cached);
      for (const subject of cached.subjects) {
        const set = bySubject.get(subject);
        if (set === undefined) bySubject.set(subject, new Set([cached]));
        else set.add(cached);
      }
      return cached;
    },
    forget(subject) {
      epoch += 1;
      for (const principal of bySubject.get(subject) ?? []) remove(principal);
    },
    clear() {
      epoch += 1;
      principals.clear();
      bySubject.clear();
    },
    get size() {
      return principals.size;
    },
  };
}
