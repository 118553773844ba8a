import { checkAcknowledged } from "./checks/acknowledged.ts";
import { checkLedger } from "./checks/ledger.ts";
import {
  checkAudit,
  checkBudgets,
  checkIdempotency,
  checkLimits,
  checkProcesses,
} from "./checks/promises.ts";
import { checkStreams } from "./checks/streams.ts";
import { checkTree } from "./checks/tree.ts";
import type { Check, Facts } from "./facts.ts";

const checks: Readonly<Record<string, Check>> = {
  "nothing acknowledged is lost, nobody waits for ever": checkAcknowledged,
  "messages form a tree, no run is left": checkTree,
  "a resumed stream is the stored answer": checkStreams,
  "the ledger is what the provider counted": checkLedger,
  "a retried key is one run": checkIdempotency,
  "no bucket gives more than it holds": checkLimits,
  "no budget is overshot, nothing stays reserved": checkBudgets,
  "the audit log verifies": checkAudit,
  "processes go on, and end well": checkProcesses,
};

/** All invariants; what is violated, each with its invariant in front. */
export function violationsOf(facts: Facts): string[] {
  return Object.entries(checks).flatMap(([name, check]) =>
    check(facts).map((violation) => `${name}: ${violation}`),
  );
}
