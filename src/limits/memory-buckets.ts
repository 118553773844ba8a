import {
  costOf,
  type Demand,
  neededLevel,
  type Plan,
  refilled,
  runLeaseMs,
  sharedCapacity,
  type Taken,
} from "./bucket.ts";

/** Buckets of this process alone: without Redis, and while it does not answer. */
export interface MemoryBuckets {
  /** Takes a call from all its buckets, or from none. Idempotency keys are not known here. */
  take(demand: Demand): Taken;
  /** Takes more, whatever is there, or gives back what is negative. */
  settle(plan: Plan, amounts: readonly number[]): void;
  /** A run has ended. */
  end(key: string, runId: string): void;
  /** Says that runs are still under way. */
  renew(key: string, runIds: readonly string[]): void;
}

interface Held {
  level: number;
  /** Of the level, in milliseconds. */
  time: number;
  fullTime: number;
}

/** From here on full buckets, which need not be kept, are looked for. */
const firstSweepSize = 10_000;
/** More callers at once than this are not told apart: the oldest begin anew. */
const maxBuckets = 500_000;

/**
 * @param share which part of every limit this process may give away.
 * @param now milliseconds of a clock that never goes back.
 */
export function createMemoryBuckets(
  share: () => number = () => 1,
  now: () => number = () => performance.now(),
): MemoryBuckets {
  const held = new Map<string, Held>();
  const runs = new Map<string, Map<string, number>>();
  let sweepSize = firstSweepSize;

  function levelOf(key: string, capacity: number, refillPerSecond: number, time: number): number {
    const bucket = held.get(key);
    if (bucket === undefined) return capacity;
    return refilled(bucket.level, (time - bucket.time) / 1000, capacity, refillPerSecond);
  }
  function keep(key: string, level: number, capacity: number, refillPerSecond: number): void {
    const time = now();
    if (level >= capacity) {
      held.delete(key);
      return;
    }
    held.set(key, { level, time, fullTime: time + ((capacity - level) / refillPerSecond) * 1000 });
    if (held.size > sweepSize) sweep(time);
  }
  function sweep(time: number): void {
    for (const [key, { fullTime }] of held) if (fullTime <= time) held.delete(key);
    for (const key of held.keys()) {
      if (held.size <= maxBuckets) break;
      held.delete(key);
    }
    sweepSize = Math.max(firstSweepSize, 2 * held.size);
  }
  function runsUnderWay(key: string, time: number): number {
    const set = runs.get(key);
    if (set === undefined) return 0;
    for (const [runId, end] of set) if (end <= time) set.delete(runId);
    if (set.size === 0) runs.delete(key);
    return set.size;
  }
  function renewRun(key: string, runId: string, time: number): void {
    let set = runs.get(key);
    if (set === undefined) runs.set(key, (set = new Map()));
    set.set(runId, time + runLeaseMs);
  }

  return {
    take({ plan, tokens, runId }) {
      const part = share();
      const time = now();
      const underWay = plan.runs === undefined ? 0 : runsUnderWay(plan.runs.key, time);
      let admitted = plan.runs === undefined || underWay < Math.max(1, plan.runs.limit * part);
      const levels = plan.buckets.map((bucket) => {
        const capacity = sharedCapacity(bucket, part);
        const level = levelOf(bucket.key, capacity, bucket.refillPerSecond * part, time);
        if (level < neededLevel(capacity, costOf(bucket, tokens))) admitted = false;
        return level;
      });
      if (admitted) {
        for (const [index, bucket] of plan.buckets.entries()) {
          const level = (levels[index] ?? 0) - costOf(bucket, tokens);
          levels[index] = level;
          keep(bucket.key, level, sharedCapacity(bucket, part), bucket.refillPerSecond * part);
        }
        if (plan.runs !== undefined && runId !== undefined) renewRun(plan.runs.key, runId, time);
      }
      const outcome = admitted ? "admitted" : "rejected";
      return { outcome, levels, runs: underWay, share: part, isShared: false };
    },
    settle(plan, amounts) {
      const part = share();
      const time = now();
      for (const [index, bucket] of plan.buckets.entries()) {
        const amount = amounts[index] ?? 0;
        if (amount === 0) continue;
        const capacity = sharedCapacity(bucket, part);
        const refillPerSecond = bucket.refillPerSecond * part;
        const level = levelOf(bucket.key, capacity, refillPerSecond, time) - amount;
        keep(bucket.key, level, capacity, refillPerSecond);
      }
    },
    end(key, runId) {
      const set = runs.get(key);
      if (set?.delete(runId) && set.size === 0) runs.delete(key);
    },
    renew(key, runIds) {
      const time = now();
      for (const runId of runIds) renewRun(key, runId, time);
    },
  };
}
