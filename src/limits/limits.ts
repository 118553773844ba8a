import type { RateClass } from "../../gen/tribe/v1/policy_pb.js";
import type { DomainError } from "../errors.ts";
import type { Redis } from "../redis/redis.ts";
import type { Counters } from "../telemetry/counters.ts";
import type { Logger } from "../telemetry/logger.ts";
import { costOf, type Demand, type Plan, type Taken } from "./bucket.ts";
import { type BucketMode, createBuckets } from "./buckets.ts";
import { createGuessers, type Guessers } from "./guessers.ts";
import type { LimitTable } from "./limit-table.ts";
import { createPlans, type LimitedCaller, type TurnPlan } from "./plans.ts";
import { metLimits, rateHeaders, rejection } from "./standing.ts";

export type { LimitedCaller } from "./plans.ts";

/** Response headers that say how the caller stands; empty when nothing is limited. */
export type RateHeaders = Readonly<Record<string, string>>;

/** A turn that wants to begin. */
export interface TurnDemand {
  readonly caller: LimitedCaller;
  /** Undefined when there is no such model, which is refused later. */
  readonly model: string | undefined;
  readonly runId: string;
  /** How many it is thought to use, in and out. */
  readonly tokens: number;
  readonly idempotencyKey: string | undefined;
}

/** What a turn has taken, until it is settled. */
export interface Reservation {
  readonly runId: string;
  readonly plan: TurnPlan;
  readonly tokens: number;
  readonly isShared: boolean;
}

/** What came of a turn's wish. */
export type TurnAdmission =
  /** `isShared`: also the idempotency key was looked for at all processes. */
  | {
      outcome: "admitted";
      reservation: Reservation;
      headers: RateHeaders;
      isShared: boolean;
    }
  | { outcome: "rejected"; error: DomainError };

/** A turn with this idempotency key was admitted before; nothing was taken. */
export type KnownTurn = { outcome: "known" };

/** What has happened since the process began, for metrics. They only grow. */
export interface LimitCounters {
  admitted: number;
  rejected: number;
  /** Those of both that this process decided alone because Redis did not answer. */
  decidedAlone: number;
  /** How often Redis stopped answering. */
  outages: number;
}

/** How limits are kept now. */
export interface LimitsState {
  readonly mode: BucketMode;
  /** Processes that share the limits, as far as is known. */
  readonly processes: number;
  readonly counters: Readonly<LimitCounters>;
}

/** Keeps callers to their limits. */
export interface Limits {
  /** Takes a call that is no turn. Fails with RESOURCE_EXHAUSTED. */
  takeRequest(caller: LimitedCaller, rateClass: RateClass): RateHeaders | Promise<RateHeaders>;
  /** Takes a call without caller. Fails with RESOURCE_EXHAUSTED. */
  takePublic(address: string): RateHeaders | Promise<RateHeaders>;
  /** Takes everything that a turn needs, in one round trip, or nothing. */
  admitTurn(demand: TurnDemand & { idempotencyKey: undefined }): Promise<TurnAdmission>;
  admitTurn(demand: TurnDemand): Promise<TurnAdmission | KnownTurn>;
  /** The turn has ended and has used so many tokens. Nobody waits for it. */
  settle(reservation: Reservation, tokens: number): void;
  /** The turn was none: everything is given back, also its request. */
  undo(reservation: Reservation): void;
  /** Says that these runs still go on; without that, a run's place is free after thirty seconds. */
  renew(runIds: readonly string[]): void;
  /** Addresses that send wrong credentials. */
  readonly guessers: Guessers;
  state(): LimitsState;
  /** Resolves when it is known whether Redis answers. */
  start(): Promise<void>;
  close(): Promise<void>;
}

/** What limits are made of. */
export interface LimitsParts {
  /** Undefined: this process is the only one. */
  redis: Redis | undefined;
  /** The limits now; a new object after every change. */
  table(): LimitTable;
  /** What Redis gets instead of ids, addresses and idempotency keys; the same in all processes. */
  hash(text: string): string;
  /** Counts rejections by limit, outages of Redis, and what was decided during them. */
  counters: Counters;
  logger: Logger;
  /** How long a call waits for Redis at most, in milliseconds. Default: 100. */
  patienceMs?: number;
}

/** Makes it; nothing is shared before `start`. */
export function createLimits(parts: LimitsParts): Limits {
  const { logger } = parts;
  const outages = parts.counters.counter(
    "tribe_limits_outages",
    "How often Redis stopped answering, so that the process kept the limits alone",
  );
  const rejections = parts.counters.counter(
    "tribe_limits_rejections",
    "Calls that met a limit, by its name and whether the process decided alone",
  );
  const counters: LimitCounters = { admitted: 0, rejected: 0, decidedAlone: 0, outages: 0 };
  const buckets = createBuckets({
    redis: parts.redis,
    ...(parts.patienceMs !== undefined && { patienceMs: parts.patienceMs }),
    onModeChange(mode) {
      if (mode === "alone") {
        counters.outages += 1;
        outages.add();
        logger.warn("Redis does not answer: this process keeps its share of the limits alone");
      } else logger.info("limits are kept in Redis");
    },
  });
  const reservations = new Map<string, Reservation>();
  // Admitted by this process alone, and since then told to all.
  const toldRuns = new Set<string>();

  let table: LimitTable | undefined;
  let plans = createPlans(parts.table(), parts.hash);
  function currentPlans() {
    const current = parts.table();
    if (current !== table) {
      table = current;
      plans = createPlans(current, parts.hash);
    }
    return plans;
  }

  function count({ outcome, isShared }: Taken): void {
    if (outcome === "admitted") counters.admitted += 1;
    else if (outcome === "rejected") counters.rejected += 1;
    if (!isShared && parts.redis !== undefined) counters.decidedAlone += 1;
  }
  function reject(demand: Demand, taken: Taken): DomainError {
    const error = rejection(demand, taken);
    const alone = String(!taken.isShared && parts.redis !== undefined);
    for (const limit of metLimits(demand, taken)) rejections.add({ limit, alone });
    return error;
  }
  function judge(demand: Demand, taken: Taken): RateHeaders {
    count(taken);
    if (taken.outcome === "rejected") throw reject(demand, taken);
    return rateHeaders(demand, taken);
  }
  function takeFrom(plan: Plan): RateHeaders | Promise<RateHeaders> {
    if (plan.buckets.length === 0) return {};
    const demand: Demand = { plan, tokens: 0 };
    const taken = buckets.take(demand);
    if (taken instanceof Promise) return taken.then((shared) => judge(demand, shared));
    return judge(demand, taken);
  }

  return {
    takeRequest: (caller, rateClass) => takeFrom(currentPlans().request(caller, rateClass)),
    takePublic: (address) => takeFrom(currentPlans().publicRequest(address)),
    admitTurn: admitTurn as Limits["admitTurn"],
    settle(reservation, tokens) {
      const { settle } = reservation.plan;
      const difference = tokens - reservation.tokens;
      giveBack(
        reservation,
        settle,
        settle.buckets.map(() => difference),
      );
    },
    undo(reservation) {
      const { take } = reservation.plan;
      giveBack(
        reservation,
        take,
        take.buckets.map((bucket) => -costOf(bucket, reservation.tokens)),
      );
    },
    renew(runIds) {
      const byKey = new Map<string, string[]>();
      for (const runId of runIds) {
        const reservation = reservations.get(runId);
        const key = reservation?.plan.take.runs?.key;
        if (reservation === undefined || key === undefined) continue;
        if (!reservation.isShared && buckets.mode() === "shared") toldRuns.add(runId);
        const others = byKey.get(key);
        if (others === undefined) byKey.set(key, [runId]);
        else others.push(runId);
      }
      for (const [key, ids] of byKey) buckets.renew(key, ids);
    },
    guessers: createGuessers(buckets, (address) => currentPlans().failedAuthentication(address)),
    state: () => ({ mode: buckets.mode(), processes: buckets.processes(), counters }),
    start: buckets.start,
    close: buckets.close,
  };

  function isEmpty({ buckets, runs }: Plan): boolean {
    return buckets.length === 0 && runs === undefined;
  }
  async function admitTurn(wanted: TurnDemand): Promise<TurnAdmission | KnownTurn> {
    const { caller, model, runId, tokens, idempotencyKey } = wanted;
    const plan = currentPlans().turn(caller, model);
    if (isEmpty(plan.take) && idempotencyKey === undefined) {
      counters.admitted += 1;
      const reservation: Reservation = { runId, plan, tokens, isShared: true };
      return { outcome: "admitted", reservation, headers: {}, isShared: true };
    }
    const demand: Demand = {
      plan: plan.take,
      tokens,
      runId,
      ...(idempotencyKey !== undefined && {
        idempotencyKey: plan.idempotencyPrefix + parts.hash(idempotencyKey),
      }),
    };
    const taken = await buckets.take(demand);
    count(taken);
    const { isShared } = taken;
    switch (taken.outcome) {
      case "known":
        return { outcome: "known" };
      case "rejected":
        return { outcome: "rejected", error: reject(demand, taken) };
      case "admitted": {
        const reservation: Reservation = { runId, plan, tokens, isShared };
        reservations.set(runId, reservation);
        const headers = rateHeaders(demand, taken);
        return { outcome: "admitted", reservation, headers, isShared };
      }
    }
  }
  function giveBack(reservation: Reservation, plan: Plan, amounts: readonly number[]): void {
    const { runId, isShared } = reservation;
    // Settling twice takes once.
    if (!reservations.delete(runId)) return;
    const isNothing = plan.runs === undefined && amounts.every((amount) => amount === 0);
    if (!isNothing) buckets.settle(plan, amounts, runId, isShared);
    if (toldRuns.delete(runId) && plan.runs !== undefined) {
      buckets.settle({ buckets: [], runs: plan.runs }, [], runId, true);
    }
  }
}
