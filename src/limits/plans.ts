import { RateClass } from "../../gen/tribe/v1/policy_pb.js";
import type { Bucket, BucketUnit, Plan } from "./bucket.ts";
import {
  type LimitedClass,
  limitsOf,
  type LimitTable,
  perMinute,
  type Rate,
} from "./limit-table.ts";

/** Of a caller, what limits depend on. The same object for all calls with one credential. */
export interface LimitedCaller {
  readonly userId: string;
  readonly apiKeyId?: string;
  readonly role: string;
  /** The API key's own limits, beside those of the user. */
  readonly limits?: { readonly requestsPerMinute?: number; readonly tokensPerMinute?: number };
}

/** What a turn is taken from, and what it is settled with. */
export interface TurnPlan {
  readonly take: Plan;
  /** The buckets of tokens alone. */
  readonly settle: Plan;
  /** Where idempotency keys are known; a hash of the key follows. */
  readonly idempotencyPrefix: string;
}

/** The plans of all callers; made once and then looked up. */
export interface Plans {
  /** Of a call that is not a turn. */
  request(caller: LimitedCaller, rateClass: RateClass): Plan;
  turn(caller: LimitedCaller, model: string | undefined): TurnPlan;
  /** Of a call without caller. */
  publicRequest(address: string): Plan;
  /** Of credentials that turned out to be wrong. */
  failedAuthentication(address: string): Plan;
}

interface CallerPlans {
  readonly requests: (Plan | undefined)[];
  readonly turns: Map<string, TurnPlan>;
}

/** Pass-through models are named by callers: more than this are not remembered at once. */
const maxModels = 100;

const classNames: Readonly<Partial<Record<RateClass, LimitedClass>>> = {
  [RateClass.CHAT]: "chat",
  [RateClass.AUTH]: "auth",
  [RateClass.WRITE]: "write",
  [RateClass.READ]: "read",
  [RateClass.HEAVY]: "heavy",
};

/**
 * The plans of one table of limits; a changed table needs new ones.
 * @param hash what Redis gets instead of ids and addresses: it keeps nothing personal.
 */
export function createPlans(table: LimitTable, hash: (text: string) => string): Plans {
  const callers = new WeakMap<LimitedCaller, CallerPlans>();

  function plansOf(caller: LimitedCaller): CallerPlans {
    let plans = callers.get(caller);
    if (plans === undefined) callers.set(caller, (plans = { requests: [], turns: new Map() }));
    return plans;
  }
  const userTag = ({ userId }: LimitedCaller) => `tribe:{u:${hash(userId)}}`;
  /** An API key's buckets lie beside its user's. */
  function keyBucket(caller: LimitedCaller, unit: BucketUnit, limit?: number): Bucket[] {
    const { apiKeyId } = caller;
    if (apiKeyId === undefined || limit === undefined || limit <= 0) return [];
    const owner = ownerOf("api_key", apiKeyId, `${userTag(caller)}:key:${hash(apiKeyId)}`);
    return bucket(owner, unit, unit, perMinute(limit));
  }
  function addressPlan(address: string, name: string, rate: Rate | null): Plan {
    if (rate === null) return { buckets: [] };
    const owner = ownerOf("address", address, `tribe:{a:${hash(address)}}`);
    return { buckets: bucket(owner, name, "requests", rate) };
  }
  function requestBuckets(caller: LimitedCaller, rateClass: RateClass): Bucket[] {
    const limits = limitsOf(table, caller.role, caller.userId);
    const user = ownerOf("user", caller.userId, userTag(caller));
    const name = classNames[rateClass];
    return [
      ...bucket(user, "requests", "requests", limits.requests),
      ...(name === undefined ? [] : bucket(user, name, "requests", limits[name])),
      ...keyBucket(caller, "requests", caller.limits?.requestsPerMinute),
    ];
  }
  function turnPlan(caller: LimitedCaller, model: string | undefined): TurnPlan {
    const { userId } = caller;
    const limits = limitsOf(table, caller.role, userId);
    const tag = userTag(caller);
    const user = ownerOf("user", userId, tag);
    const buckets = [
      ...requestBuckets(caller, RateClass.CHAT),
      ...bucket(user, "tokens", "tokens", limits.tokens),
      ...keyBucket(caller, "tokens", caller.limits?.tokensPerMinute),
    ];
    // Also a name that an object would have from elsewhere is only a model when it was given.
    if (model !== undefined && Object.hasOwn(limits.models, model)) {
      const { requests = null, tokens = null } = limits.models[model] ?? {};
      buckets.push(
        ...bucket(user, `models.${model}.requests`, "requests", requests),
        ...bucket(user, `models.${model}.tokens`, "tokens", tokens),
      );
    }
    const limit = limits.concurrentRuns;
    const runs =
      limit === null ? {} : { runs: { key: `${tag}:runs`, limit, subject: user.subject } };
    return {
      take: { buckets, ...runs },
      settle: { buckets: buckets.filter(({ unit }) => unit === "tokens"), ...runs },
      idempotencyPrefix: `${tag}:idempotency:`,
    };
  }

  return {
    request(caller, rateClass) {
      const { requests } = plansOf(caller);
      return (requests[rateClass] ??= { buckets: requestBuckets(caller, rateClass) });
    },
    turn(caller, model) {
      const { turns } = plansOf(caller);
      const name = model ?? "";
      let plan = turns.get(name);
      if (plan === undefined) {
        if (turns.size >= maxModels) turns.clear();
        turns.set(name, (plan = turnPlan(caller, model)));
      }
      return plan;
    },
    publicRequest: (address) => addressPlan(address, "requests", table.address.requests),
    failedAuthentication: (address) =>
      addressPlan(address, "failedAuthentications", table.address.failedAuthentications),
  };
}

interface Owner {
  /** `user`, `api_key`, `address`. */
  readonly kind: string;
  /** With its id. */
  readonly subject: string;
  /** What its keys begin with. */
  readonly tag: string;
}

function ownerOf(kind: string, id: string, tag: string): Owner {
  return { kind, subject: `${kind}:${id}`, tag };
}

/** None where there is no limit. */
function bucket(
  { kind, subject, tag }: Owner,
  name: string,
  unit: BucketUnit,
  rate: Rate | null,
): Bucket[] {
  if (rate === null) return [];
  return [
    {
      name: `${kind}.${name}`,
      unit,
      subject,
      key: `${tag}:${name}`,
      capacity: rate.burst,
      refillPerSecond: rate.perMinute / 60,
    },
  ];
}
