import type { Bucket, Plan } from "../../../src/limits/bucket.ts";

/** A bucket of a test's own. */
export function bucket(changes: Partial<Bucket> = {}): Bucket {
  return {
    name: "user.requests",
    unit: "requests",
    subject: "user:1",
    key: "tribe:{u:1}:requests",
    capacity: 10,
    refillPerSecond: 1,
    ...changes,
  };
}

/** What several processes take from at once. */
export const hammeredPlan: Plan = {
  buckets: [bucket({ key: "tribe:{u:hammered}:requests", capacity: 500, refillPerSecond: 40 })],
};
