/**
 * The circuit of one deployment: whether calls may go to it. Decided from
 * memory, so that it costs a call next to nothing.
 *
 * Closed, all calls go. Too many failures open it: none goes for a while. Then
 * it is half open: one call, the probe, goes and decides. A provider that asks
 * for a pause (`retry-after`) opens it without any need of a probe.
 */

/** Whether calls go to a deployment; `half_open`: the probe is due or under way. */
export type CircuitState = "closed" | "open" | "half_open";

/** For how long a deployment is left alone, and why. */
export interface CircuitOpening {
  /** Milliseconds from now; 0 or less: half open. */
  forMs: number;
  /** Reason of the error, such as `PROVIDER_RATE_LIMITED`. */
  reason: string;
  /** Whether one call must succeed before the others go. */
  needsProbe: boolean;
  /** How often it has opened without success in between; each time doubles the pause. */
  level: number;
}

/** Tells other processes of circuits. Nothing here waits. */
export interface CircuitShare {
  opened(name: string, opening: CircuitOpening): void;
  closed(name: string): void;
  /** Asks to be the one who probes; may answer at once. */
  claim(name: string, answer: (granted: boolean) => void): void;
  /** The probe ended without a verdict: somebody else may try. */
  released(name: string): void;
}

/** What a circuit is, for health and metrics. */
export interface CircuitView {
  state: CircuitState;
  /** Since when. */
  since: Date;
  /** Of the last failure; undefined: there was none. */
  lastReason: string | undefined;
  /** When that was. */
  lastFailureTime: Date | undefined;
}

/** When a circuit opens, and for how long. */
export interface CircuitPolicy {
  /** Failures count for between half and all of this time, milliseconds. */
  windowMs: number;
  /** It opens at so many failures, if they are at least half of all calls. */
  failures: number;
  /** The first pause, milliseconds. */
  openMs: number;
  /** The longest pause after failures, milliseconds. */
  longestOpenMs: number;
  /** The clock, in milliseconds from anywhere. */
  now: () => number;
}

export const DEFAULT_CIRCUIT: CircuitPolicy = {
  windowMs: 20_000,
  failures: 5,
  openMs: 5_000,
  longestOpenMs: 60_000,
  now: () => performance.now(),
};

export interface Circuit {
  readonly name: string;
  /** Whether a call may begin now. Claims the probe when it is due. */
  admits(): boolean;
  /** A call begins. True: it is the probe. */
  begin(): boolean;
  /** A call gave content. */
  succeeded(isProbe: boolean): void;
  /** A call failed, and the deployment is to blame. */
  failed(reason: string, isProbe: boolean): void;
  /** A call ended without saying anything about the deployment. */
  ended(isProbe: boolean): void;
  /** No call goes for so long, whatever the others say. */
  leaveAlone(forMs: number, reason: string, needsProbe: boolean): void;
  /** Milliseconds until a call may begin; Infinity: that is for a probe to say. */
  availableInMs(): number;
  view(): CircuitView;
  /** Another process opened it. `askedAt`: when Redis was asked, by the circuit's clock. */
  hear(opening: CircuitOpening, askedAt: number): void;
  /** No process has it open. */
  hearClosed(askedAt: number): void;
}

/** Nobody to share with: the probe is always ours. */
const ALONE: CircuitShare = {
  opened() {},
  closed() {},
  claim: (_name, answer) => answer(true),
  released() {},
};

/** After the probe was given to another process, how long until it is claimed again. */
const CLAIM_AGAIN_MS = 1000;

/** Makes a closed circuit. */
export function createCircuit(
  name: string,
  share: CircuitShare = ALONE,
  policy: CircuitPolicy = DEFAULT_CIRCUIT,
): Circuit {
  const { now } = policy;
  let opening: CircuitOpening | undefined;
  let until = 0;
  let probe: "none" | "asked" | "granted" | "under way" = "none";
  let claimAgainAt = 0;
  let since = new Date();
  let lastReason: string | undefined;
  let lastFailureTime: Date | undefined;
  let changedAt = -Infinity;
  /** Whether the other processes were seen to know of the opening. */
  let isShared = false;
  const outcomes = createOutcomes(policy.windowMs);

  function remember(reason: string): void {
    lastReason = reason;
    lastFailureTime = new Date();
  }
  /** Closes what was open for a pause that has passed, as of then. */
  function lapse(): void {
    if (opening === undefined || opening.needsProbe || now() < until) return;
    close();
    since = new Date(Date.now() - (now() - until));
  }
  function open(next: CircuitOpening, isOurs: boolean): void {
    lapse();
    const wasOpen = opening !== undefined;
    opening = next;
    until = now() + next.forMs;
    probe = "none";
    claimAgainAt = 0;
    remember(next.reason);
    outcomes.clear();
    if (!wasOpen) since = new Date();
    if (!isOurs) return;
    isShared = false;
    changedAt = now();
    share.opened(name, next);
  }
  function close(): void {
    if (opening === undefined) return;
    opening = undefined;
    probe = "none";
    isShared = false;
    since = new Date();
    outcomes.clear();
  }
  /** After failures: twice as long as the last time. */
  function openAfterFailure(reason: string, level: number): void {
    const forMs = Math.min(policy.openMs * 2 ** (level - 1), policy.longestOpenMs);
    open({ forMs, reason, needsProbe: true, level }, true);
  }
  function claim(): void {
    if (probe !== "none" || now() < claimAgainAt) return;
    probe = "asked";
    const asked = opening;
    share.claim(name, (granted) => {
      if (opening !== asked || probe !== "asked") return;
      probe = granted ? "granted" : "none";
      if (!granted) claimAgainAt = now() + CLAIM_AGAIN_MS;
    });
  }

  return {
    name,
    admits() {
      if (opening === undefined) return true;
      if (now() < until) return false;
      if (!opening.needsProbe) {
        close();
        return true;
      }
      claim();
      // The claim may have been answered at once.
      return (probe as string) === "granted";
    },
    begin() {
      if (probe !== "granted") return false;
      probe = "under way";
      return true;
    },
    succeeded(isProbe) {
      if (opening === undefined) outcomes.add(true, now());
      else if (isProbe && probe === "under way") {
        close();
        changedAt = now();
        share.closed(name);
      }
    },
    failed(reason, isProbe) {
      remember(reason);
      if (opening !== undefined) {
        if (isProbe && probe === "under way") openAfterFailure(reason, opening.level + 1);
        return;
      }
      const { failures, successes } = outcomes.add(false, now());
      if (failures >= policy.failures && failures >= successes) openAfterFailure(reason, 1);
    },
    ended(isProbe) {
      if (!isProbe || probe !== "under way") return;
      probe = "none";
      share.released(name);
    },
    leaveAlone(forMs, reason, needsProbe) {
      remember(reason);
      const level = opening?.level ?? 1;
      // Of two pauses the longer holds.
      if (opening !== undefined && until >= now() + forMs) return;
      open({ forMs, reason, needsProbe, level }, true);
    },
    availableInMs() {
      if (opening === undefined) return 0;
      const wait = until - now();
      if (!opening.needsProbe) return Math.max(0, wait);
      return wait <= 0 && (probe === "asked" || probe === "granted") ? 0 : Infinity;
    },
    view() {
      lapse();
      let state: CircuitState = "closed";
      if (opening !== undefined && now() < until) state = "open";
      else if (opening !== undefined) state = "half_open";
      return { state, since, lastReason, lastFailureTime };
    },
    hear(heard, askedAt) {
      if (askedAt <= changedAt) return;
      const end = now() + heard.forMs;
      if (opening === undefined || end > until + policy.openMs / 2) open(heard, false);
      isShared = true;
    },
    hearClosed(askedAt) {
      if (isShared && askedAt > changedAt && probe !== "under way") close();
    },
  };
}

/** Counts successes and failures of the last while, in two halves of which the older one is dropped. */
function createOutcomes(windowMs: number) {
  const total = { failures: 0, successes: 0 };
  let older = { failures: 0, successes: 0 };
  let beganAt = 0;

  function clear(): void {
    total.failures = 0;
    total.successes = 0;
    older = { failures: 0, successes: 0 };
  }
  return {
    clear,
    /** Adds one; gives those of the window. */
    add(success: boolean, at: number): { failures: number; successes: number } {
      const age = at - beganAt;
      if (age >= windowMs) clear();
      else if (age >= windowMs / 2) {
        total.failures -= older.failures;
        total.successes -= older.successes;
        older = { ...total };
      }
      if (age >= windowMs / 2) beganAt = at;
      if (success) total.successes += 1;
      else total.failures += 1;
      return total;
    },
  };
}
