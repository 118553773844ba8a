/**
 * What happens in one drill: a function of its seed and its length alone, so that a
 * failure can be had again. Only how the machine orders what happens at once is not in it.
 */
import { createRandom, type Random } from "./random.ts";

/** How the provider answers one call. */
export type PlannedReply =
  | { kind: "good"; pieces: number; delayMs: number }
  /** An error status; `retryAfter` in seconds. */
  | { kind: "status"; status: 429 | 500 | 503; retryAfter?: number }
  /** Takes the call and says nothing. */
  | { kind: "hang" }
  /** Resets the connection after so many pieces. */
  | { kind: "cut"; pieces: number; delayMs: number }
  /** Ends the body without the last events. */
  | { kind: "truncated"; pieces: number; delayMs: number }
  /** Falls silent after so many pieces. */
  | { kind: "stall"; pieces: number; delayMs: number };

/** Who calls: without limits that matter here, with a small bucket, with a small budget. */
export type UserName = "free" | "limited" | "budgeted";

/** The services that are asked. */
export type ServiceIndex = 0 | 1;

/** One thing that a client does. */
export interface Operation {
  id: number;
  atMs: number;
  user: UserName;
  service: ServiceIndex;
  call: "unary" | "stream";
  /** Goes on in the conversation of that operation, if it is known by then. */
  continues?: number;
  /** Names that operation's message as the parent: a branch. */
  branchFrom?: "question" | "answer";
  /** Carries an idempotency key, and is sent again until it is answered; `twice`: at once at both. */
  retried?: "after_loss" | "twice";
  /** Leaves the stream after so many events, and resumes at the other service. */
  leavesAfter?: number;
  /** Cancels, at the other service, after so many events. */
  cancelsAfter?: number;
  /** Asks word for word what that operation asked, so that the cache may answer. */
  repeats?: number;
  /** What the provider says to the first call, the second, …; after them a good answer. */
  replies: PlannedReply[];
}

/** Something that breaks, and when it is mended. */
export type Fault = { atMs: number; forMs: number } & (
  | { kind: "kill_service" | "stop_service"; service: ServiceIndex }
  | { kind: "kill_redis"; forgets: boolean }
  | { kind: "freeze_redis" }
  | { kind: "restart_postgres"; crashes: boolean }
  | { kind: "freeze_postgres" }
);

/** A whole drill. */
export interface Plan {
  seed: number;
  /** For how long there is load. */
  seconds: number;
  operations: Operation[];
  faults: Fault[];
}

const operationsPerSecond = 12;

export function makePlan(seed: number, seconds: number): Plan {
  const random = createRandom(seed);
  const durationMs = seconds * 1000;
  const times = Array.from({ length: Math.ceil(seconds * operationsPerSecond) }, () =>
    random.between(0, durationMs),
  ).sort((one, other) => one - other);
  const operations: Operation[] = [];
  for (const [id, atMs] of times.entries()) {
    operations.push(makeOperation(random, operations, id, atMs));
  }
  return { seed, seconds, operations, faults: makeFaults(random, durationMs) };
}

function makeOperation(
  random: Random,
  earlier: readonly Operation[],
  id: number,
  atMs: number,
): Operation {
  const operation: Operation = {
    id,
    atMs,
    user: random.pick(["free", "free", "free", "limited", "budgeted"]),
    service: random.pick([0, 1]),
    call: random.chance(0.35) ? "unary" : "stream",
    replies: makeReplies(random),
  };
  const own = earlier.filter(({ user }) => user === operation.user);
  const before = own.length > 0 ? random.pick(own) : undefined;
  if (before && random.chance(0.12)) {
    const { repeats, continues, branchFrom, ...asked } = before;
    const { service, call } = operation;
    delete asked.leavesAfter;
    delete asked.cancelsAfter;
    delete asked.retried;
    // A repetition of a first message: what came before it would make it another question.
    if (repeats === undefined && continues === undefined && branchFrom === undefined) {
      return { ...asked, id, atMs, service, call, repeats: before.id };
    }
  }
  if (before && random.chance(0.5)) {
    operation.continues = before.id;
    if (random.chance(0.5)) operation.branchFrom = random.pick(["question", "answer"]);
  }
  const fate = random.between(0, 99);
  if (fate < 25) operation.retried = random.pick(["after_loss", "after_loss", "twice"]);
  else if (fate < 45)
    Object.assign(operation, { call: "stream", leavesAfter: random.between(1, 9) });
  else if (fate < 60)
    Object.assign(operation, { call: "stream", cancelsAfter: random.between(1, 9) });
  return operation;
}

function makeReplies(random: Random): PlannedReply[] {
  const replies: PlannedReply[] = [];
  while (random.chance(0.3) && replies.length < 4) replies.push(makeFaultyReply(random));
  replies.push(goodReply(random));
  return replies;
}

function goodReply(random: Random): PlannedReply {
  const isSlow = random.chance(0.4);
  const delayMs = isSlow ? random.between(20, 80) : random.between(0, 5);
  return { kind: "good", pieces: random.between(1, 25), delayMs };
}

function makeFaultyReply(random: Random): PlannedReply {
  const pieces = random.between(0, 10);
  const delayMs = random.between(0, 30);
  switch (random.between(0, 6)) {
    case 0:
      return { kind: "status", status: 429, retryAfter: 1 };
    case 1:
      return { kind: "status", status: 429 };
    case 2:
      return { kind: "status", status: random.pick([500, 503]) };
    case 3:
      return { kind: "hang" };
    case 4:
      return { kind: "truncated", pieces, delayMs };
    case 5:
      return { kind: "stall", pieces, delayMs };
    default:
      return { kind: "cut", pieces, delayMs };
  }
}

/** One or more for the length of the drill; of one engine, one after the other. */
function makeFaults(random: Random, durationMs: number): Fault[] {
  const faults: Fault[] = [];
  const targets = ["service", "service", "redis", "postgres"] as const;
  const count = random.between(1, 1 + Math.ceil(durationMs / 2000));
  for (let index = 0; index < count; index += 1) {
    const atMs = random.between(durationMs * 0.1, durationMs * 0.9);
    faults.push(makeFault(random, random.pick(targets), Math.round(atMs)));
  }
  return faults.sort((one, other) => one.atMs - other.atMs);
}

function makeFault(random: Random, target: "service" | "redis" | "postgres", atMs: number): Fault {
  const forMs = random.between(100, 1500);
  if (target === "service") {
    const service = random.pick([0, 1] as const);
    const kind = random.chance(0.75) ? "kill_service" : "stop_service";
    return { kind, service, atMs, forMs: random.between(0, 300) };
  }
  if (target === "redis") {
    return random.chance(0.5)
      ? { kind: "kill_redis", forgets: random.chance(0.5), atMs, forMs }
      : { kind: "freeze_redis", atMs, forMs };
  }
  return random.chance(0.5)
    ? { kind: "restart_postgres", crashes: random.chance(0.5), atMs, forMs }
    : {
        kind: "freeze_postgres",
        atMs,
        forMs: random.chance(0.3) ? random.between(3200, 4500) : forMs,
      };
}

/** The plan as lines that a person can read, by time. */
export function describePlan({ seed, seconds, operations, faults }: Plan): string {
  const lines = [
    ...operations.map(({ atMs, ...rest }) => ({ atMs, text: `ask   ${JSON.stringify(rest)}` })),
    ...faults.map(({ atMs, ...rest }) => ({ atMs, text: `BREAK ${JSON.stringify(rest)}` })),
  ].sort((one, other) => one.atMs - other.atMs);
  return [
    `seed ${seed}, ${seconds} s of load`,
    ...lines.map(({ atMs, text }) => `${String(atMs).padStart(6)} ms  ${text}`),
  ].join("\n");
}
