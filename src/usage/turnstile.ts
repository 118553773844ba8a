/** Lets work through, at most so much at once, and of one key one at a time, in order. */
export interface Turnstile {
  pass<Result>(key: string, work: () => Promise<Result>): Promise<Result>;
}

/** `limit`: how much at once. What waits does so in memory. */
export function createTurnstile(limit: number): Turnstile {
  const waiting: { key: string; begin: () => void }[] = [];
  const busy = new Set<string>();

  function admit() {
    for (let index = 0; index < waiting.length && busy.size < limit; index += 1) {
      const next = waiting[index];
      if (next === undefined || busy.has(next.key)) continue;
      waiting.splice(index, 1);
      index -= 1;
      busy.add(next.key);
      next.begin();
    }
  }

  return {
    async pass(key, work) {
      if (busy.size < limit && !busy.has(key)) busy.add(key);
      else await new Promise<void>((begin) => waiting.push({ key, begin }));
      try {
        return await work();
      } finally {
        busy.delete(key);
        admit();
      }
    },
  };
}
