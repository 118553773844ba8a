/** A promise that is not waited for longer than others before it: one timer for all. */
export interface Deadline {
  /** Gives the value, or `late()` when it fails or is not there in time. */
  within<T>(pending: Promise<T>, late: (reason: unknown) => T): Promise<T>;
  /** Ends all waiting now. */
  giveUp(): void;
}

/**
 * Emptied when it leaves the set: V8 chains the tables that a busy Set has outgrown, and an old one
 * would keep alive what all later ones held until the next full collection.
 */
interface Waiting {
  readonly since: number;
  giveUp: (() => void) | undefined;
}

/**
 * @param patienceMs how long anything is waited for.
 * @param onLate told when something was not there in time.
 */
export function createDeadline(patienceMs: number, onLate: () => void): Deadline {
  // A Set keeps the order of insertion: the first has waited longest.
  const waiting = new Set<Waiting>();
  let timer: NodeJS.Timeout | undefined;

  function look(): void {
    timer = undefined;
    const limit = performance.now() - patienceMs;
    let isLate = false;
    for (const one of waiting) {
      if (one.since > limit) {
        timer = setTimeout(expire, Math.ceil(one.since - limit));
        break;
      }
      isLate = true;
      one.giveUp?.();
    }
    if (isLate) onLate();
  }
  /** The process itself may have been busy: answers that have come meanwhile are read before. */
  function expire(): void {
    setImmediate(look);
  }

  return {
    within(pending, late) {
      return new Promise((resolve) => {
        const one: Waiting = {
          since: performance.now(),
          giveUp() {
            if (leave()) resolve(late(undefined));
          },
        };
        waiting.add(one);
        function leave(): boolean {
          one.giveUp = undefined;
          return waiting.delete(one);
        }
        // It keeps the process running: somebody waits, and the other side may be gone.
        timer ??= setTimeout(expire, patienceMs);
        pending.then(
          (value) => leave() && resolve(value),
          (reason: unknown) => leave() && resolve(late(reason)),
        );
      });
    },
    giveUp() {
      for (const one of waiting) one.giveUp?.();
    },
  };
}
