import { ErrorReply } from "redis";
import type { Redis } from "../redis/redis.ts";
import type { RedisScript } from "../redis/script.ts";
import {
  type Bucket,
  costOf,
  type Demand,
  idempotencyLifetimeMs,
  type Plan,
  runLeaseMs,
  type Taken,
} from "./bucket.ts";
import { presenceScript, renewScript, settleScript, takeScript } from "./bucket-scripts.store.ts";

/** Buckets in Redis, which all processes share. Everything rejects while it does not answer. */
export interface RedisBuckets {
  take(demand: Demand): Promise<Taken>;
  /** Takes more, whatever is there, or gives back what is negative; `runId` ends. */
  settle(plan: Plan, amounts: readonly number[], runId: string | undefined): Promise<void>;
  /** Says that runs are still under way. */
  renew(key: string, runIds: readonly string[]): Promise<void>;
  /** Says that this process lives, and gives how many do. */
  beat(processId: string): Promise<number>;
  /** Says that this process ends. */
  leave(processId: string): Promise<void>;
}

/** What `take` sends for a plan, but for what differs from call to call. */
interface Command {
  /** From the keys on, for calls that are no turns of whom an idempotency key is known. */
  readonly tail: readonly string[];
  /** Where in `tail` the run's id and the costs in tokens go. */
  readonly runIdAt: number;
  readonly tokensAt: readonly number[];
}

const processesKey = "tribe:processes";
/** A process that was silent for so long has ended. */
const silenceMs = 10_000;

/** The buckets in this Redis. */
export function createRedisBuckets(redis: Redis): RedisBuckets {
  const commands = new WeakMap<Plan, Command>();

  function commandOf(plan: Plan): Command {
    let command = commands.get(plan);
    if (command === undefined) commands.set(plan, (command = compile(plan)));
    return command;
  }

  /** Redis forgets scripts when it starts anew; then it is sent whole. */
  async function run<Reply>(script: RedisScript, tail: readonly string[]): Promise<Reply> {
    const key = tail[1] ?? "";
    try {
      return await redis.submit<Reply>(key, ["EVALSHA", script.sha, ...tail]);
    } catch (error) {
      if (!(error instanceof ErrorReply) || !error.message.startsWith("NOSCRIPT")) throw error;
      return redis.submit<Reply>(key, ["EVAL", script.source, ...tail]);
    }
  }

  return {
    async take(demand) {
      const { plan } = demand;
      const reply = await run<(number | string)[]>(takeScript, tailOf(commandOf(plan), demand));
      const [status, runs] = reply;
      if (status === 2) return { outcome: "known", levels: [], runs: 0, share: 1, isShared: true };
      const levels: number[] = [];
      for (let index = 0; index < plan.buckets.length; index++) {
        levels.push(Number(reply[index + 2]) / 1000);
      }
      const outcome = status === 1 ? "admitted" : "rejected";
      return { outcome, levels, runs: Number(runs), share: 1, isShared: true };
    },
    async settle({ buckets, runs }, amounts, runId) {
      const endsRun = runs !== undefined && runId !== undefined;
      const keys = buckets.map(({ key }) => key);
      if (endsRun) keys.push(runs.key);
      if (keys.length === 0) return;
      const tail = [String(keys.length), ...keys, String(buckets.length), endsRun ? runId : ""];
      for (const [index, bucket] of buckets.entries()) {
        pushBucket(tail, bucket, amounts[index] ?? 0);
      }
      await run(settleScript, tail);
    },
    async renew(key, runIds) {
      await run(renewScript, ["1", key, String(runLeaseMs), ...runIds]);
    },
    beat: (processId) => run(presenceScript, ["1", processesKey, processId, String(silenceMs)]),
    async leave(processId) {
      await redis.submit(processesKey, ["ZREM", processesKey, processId]);
    },
  };
}

function compile({ buckets, runs }: Plan): Command {
  const keys = buckets.map(({ key }) => key);
  if (runs !== undefined) keys.push(runs.key);
  const limit = runs === undefined ? "" : String(runs.limit);
  const tail = [String(keys.length), ...keys, String(buckets.length), limit, "", "", "", ""];
  if (runs !== undefined) tail[keys.length + 4] = String(runLeaseMs);
  const tokensAt: number[] = [];
  for (const bucket of buckets) {
    pushBucket(tail, bucket, costOf(bucket, 0));
    if (bucket.unit === "tokens") tokensAt.push(tail.length - 1);
  }
  return { tail, runIdAt: keys.length + 3, tokensAt };
}

function tailOf(command: Command, { tokens, runId, idempotencyKey }: Demand) {
  const { tail, runIdAt, tokensAt } = command;
  if (runId === undefined) return tail;
  const filled = [...tail];
  filled[runIdAt] = runId;
  for (const index of tokensAt) filled[index] = String(tokens);
  if (idempotencyKey !== undefined) {
    filled[runIdAt + 2] = String(idempotencyLifetimeMs);
    const keys = runIdAt - 3;
    filled[0] = String(keys + 1);
    // The hash tag of the other keys goes before whatever the caller wrote.
    filled.splice(keys + 1, 0, idempotencyKey);
  }
  return filled;
}

function pushBucket(tail: string[], { capacity, refillPerSecond }: Bucket, amount: number): void {
  tail.push(String(capacity), String(refillPerSecond), String(amount));
}
