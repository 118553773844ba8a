/** What a bucket holds: requests cost one each, turns as many tokens as they are thought to need. */
export type BucketUnit = "requests" | "tokens";

/** A token bucket: full at first, emptied by calls, filled again by time. */
export interface Bucket {
  /** Which limit it is, for example `user.requests`. */
  readonly name: string;
  readonly unit: BucketUnit;
  /** Whose it is, for example `user:0198…`. */
  readonly subject: string;
  /** Where it is kept. All keys of one caller share a hash tag, so that a cluster keeps them together. */
  readonly key: string;
  /** The most that it holds. */
  readonly capacity: number;
  readonly refillPerSecond: number;
}

/** All buckets that one kind of call is taken from, all or none. Made once per caller, used for many calls. */
export interface Plan {
  readonly buckets: readonly Bucket[];
  /** The set of runs that are under way, for turns of whom their number is limited. */
  readonly runs?: { readonly key: string; readonly limit: number; readonly subject: string };
}

/** What a call takes. */
export interface Demand {
  readonly plan: Plan;
  /** What the call takes from buckets of tokens. */
  readonly tokens: number;
  /** Of a turn: what its run is called. */
  readonly runId?: string;
  /** Of a turn: a key that makes a second call with it take nothing. */
  readonly idempotencyKey?: string;
}

/** What came of it. */
export interface Taken {
  /** `known`: a call with this idempotency key was admitted before, so nothing was taken. */
  readonly outcome: "admitted" | "rejected" | "known";
  /** What each bucket of the plan holds now, in its order; below zero when more was used than reserved. Empty when known. */
  readonly levels: readonly number[];
  /** Runs that were under way before this one. */
  readonly runs: number;
  /** Which part of each limit was to be had here: 1, or less while processes cannot agree. */
  readonly share: number;
  /** Whether all processes share what was taken from. */
  readonly isShared: boolean;
}

/** What a call takes from a bucket. */
export function costOf({ unit }: Bucket, tokens: number): number {
  return unit === "tokens" ? tokens : 1;
}

/**
 * What must be there for a call to be admitted. One that costs more than the bucket can ever
 * hold is admitted by a full bucket, which then owes the rest.
 */
export function neededLevel(capacity: number, cost: number): number {
  return Math.min(cost, capacity);
}

/** What a bucket holds after some time. */
export function refilled(
  level: number,
  elapsedSeconds: number,
  capacity: number,
  refillPerSecond: number,
): number {
  return Math.min(capacity, level + Math.max(0, elapsedSeconds) * refillPerSecond);
}

/** The part of a bucket that one of several processes may give away by itself: at least one call. */
export function sharedCapacity({ capacity }: Bucket, share: number): number {
  return Math.max(1, capacity * share);
}

/** How long a run keeps its place without being renewed, in milliseconds. */
export const runLeaseMs = 30_000;
/** How long an idempotency key is known, in milliseconds. The database keeps it as long. */
export const idempotencyLifetimeMs = 24 * 3_600_000;
