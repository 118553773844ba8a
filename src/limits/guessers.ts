import type { DomainError } from "../errors.ts";
import type { Plan, Taken } from "./bucket.ts";
import type { Buckets } from "./buckets.ts";
import { rejection } from "./standing.ts";

/** Addresses that send credentials which are wrong. */
export interface Guessers {
  /** Notes that an address sent one. Nobody waits for it. */
  note(address: string): void;
  /** Refuses an address that has sent too many, without a look-up. Fails with RESOURCE_EXHAUSTED. */
  refuse(address: string): void;
}

/** More addresses than this are not remembered at once. */
const maxRefused = 10_000;

/** Counts with all processes; who is refused, each one remembers by itself. */
export function createGuessers(
  buckets: Pick<Buckets, "take">,
  planOf: (address: string) => Plan,
): Guessers {
  const refused = new Map<string, { error: DomainError; end: number }>();

  async function take(address: string, plan: Plan): Promise<void> {
    const demand = { plan, tokens: 0 };
    const taken: Taken = await buckets.take(demand);
    // The last one empties the bucket, so the next is refused without another look.
    if (taken.outcome === "admitted" && (taken.levels[0] ?? 0) >= 1) return;
    const error = rejection(demand, taken);
    if (refused.size >= maxRefused) refused.clear();
    const end = performance.now() + (error.retryAfterSeconds ?? 0) * 1000;
    refused.set(address, { error, end });
  }

  return {
    note(address) {
      if (address === "") return;
      const plan = planOf(address);
      if (plan.buckets.length > 0) void take(address, plan);
    },
    refuse(address) {
      if (refused.size === 0) return;
      const guesser = refused.get(address);
      if (guesser === undefined) return;
      if (guesser.end > performance.now()) throw guesser.error;
      refused.delete(address);
    },
  };
}
