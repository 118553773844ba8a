import { type Check, type Facts, groupBy, runFacts } from "../facts.ts";

/** A retried key has made one run at most, and one answer. */
export const checkIdempotency: Check = (facts) => {
  const violations: string[] = [];
  const runs = groupBy(runFacts(facts), ({ run }) => run.idempotencyKey);
  for (const { operation, runIds, errors } of facts.observations) {
    if (!operation.retried) continue;
    const own = runs.get(`operation-${operation.id}`) ?? [];
    if (own.length > 1 || runIds.size > 1)
      violations.push(`operation ${operation.id}: its key made runs ${[...runIds].join(" and ")}`);
    if (errors.some((error) => error.includes("IDEMPOTENCY_KEY_REUSED")))
      violations.push(`operation ${operation.id}: its own key was taken for another's`);
  }
  return violations;
};

/** No bucket gave more than it held; a process that keeps limits alone begins with full ones. */
export const checkLimits: Check = ({ stored, users, rules, plan, timesAlone }) => {
  const { capacity, refillPerSecond } = rules.bucket;
  const own = stored.runs.filter(({ userId }) => userId === users.limited);
  const emptied = plan.faults.filter((fault) => fault.kind === "kill_redis" && fault.forgets);
  const bursts = 1 + timesAlone + emptied.length;
  const times = own.map(({ startTime }) => startTime);
  const seconds = own.length > 0 ? (Math.max(...times) - Math.min(...times)) / 1000 : 0;
  const most = Math.floor(bursts * capacity + seconds * refillPerSecond + 0.5);
  const violations: string[] = [];
  if (own.length > most)
    violations.push(`${own.length} runs of the limited user, ${most} were to be had`);
  const together = Math.max(
    0,
    ...own.map(
      ({ startTime }) =>
        own.filter((run) => run.startTime <= startTime && (run.endTime ?? Infinity) > startTime)
          .length,
    ),
  );
  if (bursts === 1 && together > rules.concurrentRuns)
    violations.push(`${together} runs of the limited user at once, ${rules.concurrentRuns} may be`);
  return violations;
};

/** Nobody spent more than the budget and one token, and nothing stays reserved. */
export const checkBudgets: Check = ({ stored, users, rules }) => {
  const spent = stored.ledger
    .filter(({ userId }) => userId === users.budgeted)
    .reduce((total, { costMicros }) => total + (costMicros ?? 0), 0);
  const violations: string[] = [];
  if (rules.budget !== undefined && spent > rules.budget + rules.outputPrice)
    violations.push(`the budget of ${rules.budget} was overshot: ${spent}`);
  if (stored.reservations > 0)
    violations.push(`${stored.reservations} reservations of budgets are left`);
  return violations;
};

/** The audit log is whole. */
export const checkAudit: Check = ({ audit }) =>
  audit.valid ? [] : [`the audit log does not verify: ${audit.problem}`];

/** Nobody ended by itself, and who was asked to ended well. */
export const checkProcesses: Check = ({ exits, troubles }: Facts) => [
  ...troubles,
  ...exits
    .filter(({ askedBy, code }) => askedBy === "nobody" || (askedBy === "SIGTERM" && code !== 0))
    .map(
      ({ askedBy, code, signal }) => `a service ended with ${code ?? signal}, asked by ${askedBy}`,
    ),
];
