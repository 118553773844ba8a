/** Something that is counted, for example the failed sign-ins of an account. */
export interface SightingRule {
  /** Without anything personal. */
  readonly key: string;
  /** How far back it is counted, in milliseconds. */
  readonly windowMs: number;
  /** How many are too many. */
  readonly limit: number;
}

/**
 * Counts what was seen, for all processes. Each method gives how many it is now, once when the
 * limit is reached and not again before the window is over; else 0.
 */
export interface Sightings {
  /** Counts some more. */
  count(rule: SightingRule, more: number): Promise<number>;
  /** Counts how many different ones there are. */
  distinct(rule: SightingRule, members: readonly string[]): Promise<number>;
}

const maxKeys = 50_000;

/** Counts in this process alone: without Redis, and while it is away. */
export function createMemorySightings(now: () => number = Date.now): Sightings {
  const entries = new Map<
    string,
    { end: number; count: number; isTold: boolean; members: Map<string, number> }
  >();

  function entryOf({ key, windowMs }: SightingRule) {
    const found = entries.get(key);
    if (found !== undefined && found.end > now()) return found;
    entries.delete(key);
    const [oldest] = entries.size >= maxKeys ? entries.keys() : [];
    if (oldest !== undefined) entries.delete(oldest);
    // Those who were seen before are kept, so that a new window does not begin with nobody.
    const members = found?.members ?? new Map<string, number>();
    const entry = { end: now() + windowMs, count: 0, isTold: false, members };
    entries.set(key, entry);
    return entry;
  }
  function told(entry: { isTold: boolean }, count: number, limit: number): number {
    if (count < limit || entry.isTold) return 0;
    entry.isTold = true;
    return count;
  }
  return {
    async count(rule, more) {
      const entry = entryOf(rule);
      entry.count += more;
      return told(entry, entry.count, rule.limit);
    },
    async distinct(rule, members) {
      const entry = entryOf(rule);
      const time = now();
      for (const member of members) entry.members.set(member, time);
      for (const [member, seen] of entry.members) {
        if (seen <= time - rule.windowMs) entry.members.delete(member);
      }
      return told(entry, entry.members.size, rule.limit);
    },
  };
}
