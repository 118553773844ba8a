/** From where a key was used. */
export interface KeyAddresses {
  apiKeyId: string;
  userId: string;
  addresses: string[];
}

/** An address that was told is told again after this time, if it is still used. */
const memoryMs = 60_000;
/** Of one key; more than any limit is needed for nothing. */
const maxAddresses = 512;
/** Keys within `memoryMs`. */
const maxKeys = 100_000;

interface Entry {
  userId: string;
  last: string;
  told: Set<string>;
  fresh: string[];
}

/** Notes from where keys are used; an address that comes again costs a comparison. */
export function createKeyAddresses(now: () => number = performance.now.bind(performance)) {
  let entries = new Map<string, Entry>();
  let beginning = now();
  const changed = new Set<string>();

  return {
    note(apiKeyId: string, userId: string, address: string): void {
      const entry = entries.get(apiKeyId);
      if (entry === undefined) {
        if (entries.size >= maxKeys || address === "") return;
        const told = new Set([address]);
        entries.set(apiKeyId, { userId, last: address, told, fresh: [address] });
        changed.add(apiKeyId);
        return;
      }
      if (entry.last === address) return;
      entry.last = address;
      if (entry.told.has(address) || entry.told.size >= maxAddresses || address === "") return;
      entry.told.add(address);
      entry.fresh.push(address);
      changed.add(apiKeyId);
    },
    /** What is new since the last time, once a minute also what is still so. */
    takeNew(): KeyAddresses[] {
      const taken: KeyAddresses[] = [];
      for (const apiKeyId of changed) {
        const entry = entries.get(apiKeyId);
        if (entry === undefined) continue;
        taken.push({ apiKeyId, userId: entry.userId, addresses: entry.fresh });
        entry.fresh = [];
      }
      changed.clear();
      if (now() - beginning > memoryMs) {
        entries = new Map();
        beginning = now();
      }
      return taken;
    },
  };
}
