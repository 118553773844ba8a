import { type DomainError, limitExceeded, type QuotaViolation } from "../errors.ts";
import {
  type Bucket,
  type BucketUnit,
  costOf,
  type Demand,
  neededLevel,
  sharedCapacity,
  type Taken,
} from "./bucket.ts";

/** A bucket as a call has left it. */
interface Standing {
  readonly bucket: Bucket;
  readonly level: number;
  readonly capacity: number;
  readonly refillPerSecond: number;
}

/** A full set of runs opens when one of them ends, which nobody knows. */
const runWaitSeconds = 1;
const runsLimitName = "user.concurrentRuns";

/**
 * How the caller stands after a call: for requests and for tokens the limit that is nearest to
 * being met, what is left of it, and the seconds until it is whole again, as `12.5s`.
 */
export function rateHeaders(demand: Demand, taken: Taken): Record<string, string> {
  const headers: Record<string, string> = {};
  addHeaders(headers, "requests", tightest(demand, taken, "requests"));
  addHeaders(headers, "tokens", tightest(demand, taken, "tokens"));
  return headers;
}

function addHeaders(
  headers: Record<string, string>,
  unit: BucketUnit,
  standing: Standing | undefined,
): void {
  if (standing === undefined) return;
  const { level, capacity, refillPerSecond } = standing;
  headers[`x-ratelimit-limit-${unit}`] = String(Math.floor(capacity));
  headers[`x-ratelimit-remaining-${unit}`] = String(Math.max(0, Math.floor(level)));
  headers[`x-ratelimit-reset-${unit}`] = `${upToMillis((capacity - level) / refillPerSecond)}s`;
}

function tightest({ plan }: Demand, taken: Taken, unit: BucketUnit): Standing | undefined {
  let found: Standing | undefined;
  for (let index = 0; index < plan.buckets.length; index++) {
    const bucket = plan.buckets[index]!;
    const level = taken.levels[index];
    if (bucket.unit !== unit || level === undefined) continue;
    if (found === undefined || level < found.level) found = standingOf(bucket, level, taken.share);
  }
  return found;
}

function standingOf(bucket: Bucket, level: number, share: number): Standing {
  const capacity = sharedCapacity(bucket, share);
  return { bucket, level, capacity, refillPerSecond: bucket.refillPerSecond * share };
}

/** A limit that was met. */
interface Met extends QuotaViolation {
  readonly name: string;
  readonly waitSeconds: number;
}

function allMet({ plan, tokens }: Demand, taken: Taken): Met[] {
  const met: Met[] = [];
  for (const [index, bucket] of plan.buckets.entries()) {
    const standing = standingOf(bucket, taken.levels[index] ?? 0, taken.share);
    const { level, capacity, refillPerSecond } = standing;
    const missing = neededLevel(capacity, costOf(bucket, tokens)) - level;
    if (missing <= 0) continue;
    const { name, subject } = bucket;
    const waitSeconds = missing / refillPerSecond;
    met.push({ name, subject, description: describe(standing), waitSeconds });
  }
  if (plan.runs !== undefined && taken.runs >= Math.max(1, plan.runs.limit * taken.share)) {
    const { subject, limit } = plan.runs;
    const description = `limit ${runsLimitName}: at most ${limit} runs at once`;
    met.push({ name: runsLimitName, subject, description, waitSeconds: runWaitSeconds });
  }
  return met;
}

/** The names of the limits that were met. */
export function metLimits(demand: Demand, taken: Taken): string[] {
  return allMet(demand, taken).map(({ name }) => name);
}

/** Tells which limits were met, whose they are and how long to wait. */
export function rejection(demand: Demand, taken: Taken): DomainError {
  const met = allMet(demand, taken);
  const waitSeconds = Math.max(0, ...met.map((one) => one.waitSeconds));
  const quotas = met.map(({ subject, description }) => ({ subject, description }));
  return limitExceeded(quotas, upToMillis(waitSeconds), rateHeaders(demand, taken));
}

function describe({ bucket, capacity, refillPerSecond }: Standing): string {
  const { name, unit } = bucket;
  const perMinute = Math.round(refillPerSecond * 60_000) / 1000;
  return `limit ${name}: ${perMinute} ${unit} a minute, at most ${Math.floor(capacity)} at once`;
}

/** Rounded up: who waits so long does not come too early. */
function upToMillis(seconds: number): number {
  return Math.ceil(Math.max(0, seconds) * 1000) / 1000;
}
