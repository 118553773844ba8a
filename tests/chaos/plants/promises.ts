import type { Facts } from "../facts.ts";
import { users } from "../world.ts";
import { isRetried, nobody, run, told, type Plant } from "./plant.ts";

/** A service on a busy machine may have, which allows for more. */
const neverAlone = (facts: Facts) => void (facts.timesAlone = 0);

export const promisesPlants: readonly Plant[] = [
  {
    what: "a key that made two runs",
    facts: (facts) => void told(facts, isRetried).runIds.add(nobody),
    says: /a retried key is one run: operation \d+: its key made runs/,
  },
  {
    what: "a key that was taken for another's",
    facts: (facts) =>
      void told(facts, isRetried).errors.push("InvalidArgument IDEMPOTENCY_KEY_REUSED"),
    says: /its own key was taken for another's/,
  },
  {
    what: "more runs than a bucket holds",
    statements: [`update runs set user_id = '${users.limited}'`],
    facts: neverAlone,
    says: /no bucket .* \d+ runs of the limited user, \d+ were to be had/,
  },
  {
    what: "more runs at once than there may be",
    statements: [
      `update runs set user_id = '${users.limited}', start_time = now(), end_time = null`,
    ],
    facts: neverAlone,
    says: /\d+ runs of the limited user at once, 3 may be/,
  },
  {
    what: "a budget that was overshot",
    statements: [`update usage set user_id = '${users.budgeted}', cost_micros = 12000`],
    says: /no budget .* the budget of 12000 was overshot: \d+/,
  },
  {
    what: "a reservation that is left",
    statements: [
      `insert into budget_reservations (run_id, user_id, micros) values (${run}, '${users.budgeted}', 1)`,
    ],
    says: /1 reservations of budgets are left/,
  },
  {
    what: "an audit log that was changed",
    facts: (facts) =>
      void (facts.audit = { valid: false, problem: "event 3 is not the one that 4 follows" }),
    says: /the audit log does not verify: event 3/,
  },
  {
    what: "a process that ended by itself",
    facts: ({ exits }) => void exits.push({ askedBy: "nobody", code: 0, signal: null }),
    says: /a service ended with 0, asked by nobody/,
  },
  {
    what: "a process that ended badly",
    facts: ({ exits }) => void exits.push({ askedBy: "SIGTERM", code: 1, signal: null }),
    says: /a service ended with 1, asked by SIGTERM/,
  },
];
