import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Redis } from "../redis/redis.ts";
import type { Demand, Plan, Taken } from "./bucket.ts";
import { createDeadline } from "./deadline.ts";
import { createMemoryBuckets } from "./memory-buckets.ts";
import { createRedisBuckets } from "./redis-buckets.store.ts";

/**
 * Where the limits are kept now: in Redis by all processes together; by this one `alone`, while
 * Redis does not answer; `in_process`, because there is no Redis.
 */
export type BucketMode = "shared" | "alone" | "in_process";

/** Buckets that are always there. */
export interface Buckets {
  /** Takes a call from all its buckets, or from none. Never fails, never waits for a dead Redis. */
  take(demand: Demand): Taken | Promise<Taken>;
  /**
   * Takes more, whatever is there, or gives back what is negative; `runId` ends. Nobody waits for
   * it; what cannot be said to Redis refills with time.
   * @param isShared whether what is corrected was taken from the shared buckets.
   */
  settle(
    plan: Plan,
    amounts: readonly number[],
    runId: string | undefined,
    isShared: boolean,
  ): void;
  /** Says that runs are still under way, wherever they were admitted; they are shared from now on. */
  renew(key: string, runIds: readonly string[]): void;
  mode(): BucketMode;
  /** Processes that were seen last, this one among them. */
  processes(): number;
  /** Resolves when Redis has answered, or has not for a second. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** What the buckets are made of. */
export interface BucketsOptions {
  /** Undefined: this process is the only one. */
  redis: Redis | undefined;
  /** How long a call waits for Redis at most, in milliseconds. Default: 100. */
  patienceMs?: number;
  /** Told when the mode changes. */
  onModeChange?(mode: BucketMode): void;
}

/** How often a process says that it lives. */
const beatMs = 1000;
/** How long a process that starts waits for its first answer. */
const firstBeatMs = 1000;
/** How often it asks whether Redis is back. */
const probeMs = 200;

/** Buckets in Redis, and in this process while it does not answer. */
export function createBuckets(options: BucketsOptions): Buckets {
  const { redis, patienceMs = 100 } = options;
  if (redis === undefined) return createLonelyBuckets();
  const shared = createRedisBuckets(redis);
  const own = createMemoryBuckets(() => 1 / processes);
  const deadline = createDeadline(patienceMs, fail);
  const beats = createDeadline(beatMs, () => undefined);
  const processId = randomUUID();
  let mode: BucketMode = "alone";
  let processes = 1;
  let timer: NodeJS.Timeout | undefined;
  let isClosed = false;

  const isSettled = () => mode === "shared" || isClosed;
  function become(next: BucketMode): void {
    if (mode === next || isClosed) return;
    mode = next;
    options.onModeChange?.(next);
  }
  /** From now on nobody waits for Redis, until it has answered again. */
  function fail(): void {
    if (mode === "alone") return;
    become("alone");
    deadline.giveUp();
    schedule(probeMs);
  }
  function schedule(delayMs: number): void {
    clearTimeout(timer);
    if (!isClosed) timer = setTimeout(() => void beat(), delayMs).unref();
  }
  async function beat(): Promise<void> {
    const startedAt = performance.now();
    const seen = await beats.within<number | undefined>(shared.beat(processId), () => undefined);
    if (isClosed) return;
    if (seen !== undefined) processes = Math.max(1, seen);
    // One that answers again, but too late for calls, is not back yet.
    if (seen === undefined) fail();
    else if (performance.now() - startedAt <= patienceMs) become("shared");
    schedule(mode === "shared" ? beatMs : probeMs);
  }

  return {
    take(demand) {
      if (mode !== "shared") return own.take(demand);
      return deadline.within(shared.take(demand), (reason) => {
        if (reason !== undefined) fail();
        return own.take(demand);
      });
    },
    settle(plan, amounts, runId, isShared) {
      if (!isShared) own.settle(plan, amounts);
      else if (mode === "shared") shared.settle(plan, amounts, runId).catch(fail);
      // Also one that was admitted by all may have been renewed by this process alone.
      if (plan.runs !== undefined && runId !== undefined) own.end(plan.runs.key, runId);
    },
    renew(key, runIds) {
      if (mode === "shared") shared.renew(key, runIds).catch(fail);
      else own.renew(key, runIds);
    },
    mode: () => mode,
    processes: () => processes,
    async start() {
      const end = performance.now() + firstBeatMs;
      while (!isSettled() && performance.now() < end) {
        await beat();
        if (!isSettled()) await delay(20);
      }
    },
    async close() {
      isClosed = true;
      clearTimeout(timer);
      if (mode !== "shared") return;
      // Those that stay share among themselves from now on.
      await beats.within<void>(shared.leave(processId), () => undefined);
    },
  };
}

function createLonelyBuckets(): Buckets {
  const own = createMemoryBuckets();
  return {
    take: own.take,
    settle(plan, amounts, runId) {
      own.settle(plan, amounts);
      if (plan.runs !== undefined && runId !== undefined) own.end(plan.runs.key, runId);
    },
    renew: own.renew,
    mode: () => "in_process",
    processes: () => 1,
    async start() {},
    async close() {},
  };
}
