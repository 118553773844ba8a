/** A promise that is not waited for longer than others before it: one timer for all. */
export interface Deadline {
  /** Gives the value, or `late()` when it fails or is not there in time. */
  within<T>(pending: Promise<T>, late: (reason: unknown) => T): Promise<T>;
  /** Ends all waiting now. */
  giveUp(): void;
}

interface Waiting {
  since: number;
  giveUp(): void;
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
      one.giveUp();
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
            waiting.delete(one);
            resolve(late(undefined));
          },
        };
        waiting.add(one);
        // It keeps the process running: somebody waits, and the other side may be gone.
        timer ??= setTimeout(expire, patienceMs);
        pending.then(
          (value) => waiting.delete(one) && resolve(value),
          (reason: unknown) => waiting.delete(one) && resolve(late(reason)),
        );
      });
    },
    giveUp() {
      for (const one of waiting) one.giveUp();
    },
  };
}
