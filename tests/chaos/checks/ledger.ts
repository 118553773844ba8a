import { type Check, type Facts, groupBy, type RunFacts, runFacts } from "../facts.ts";
import type { ProviderCall } from "../provider-journal.ts";
import type { LedgerRow } from "../stored.ts";

/** One row for each run, each at its price, the sums the same, and all as the provider counted. */
export const checkLedger: Check = (facts) => {
  const { stored, calls } = facts;
  const violations: string[] = [];
  const rows = groupBy(stored.ledger, ({ runId }) => runId);
  const runs = runFacts(facts);
  for (const { run } of runs) {
    const own = rows.get(run.id) ?? [];
    if (run.state !== "running" && own.length !== 1)
      violations.push(`run ${run.id} has ${own.length} rows in the ledger`);
  }
  const known = new Set(stored.runs.map(({ id }) => id));
  for (const row of stored.ledger) {
    if (!known.has(row.runId))
      violations.push(`the ledger has a row of an unknown run ${row.runId}`);
    const cost =
      row.inputTokens * facts.rules.inputPrice + row.outputTokens * facts.rules.outputPrice;
    if (row.costMicros !== cost)
      violations.push(`run ${row.runId} costs ${row.costMicros}, by its tokens ${cost}`);
  }
  const callsOf = groupBy(calls, ({ operation }) => operation);
  const runsOf = groupBy(runs, ({ asked }) => asked ?? -1);
  for (const [operation, own] of runsOf) {
    const ledger = own.flatMap(({ run }) => rows.get(run.id) ?? []);
    violations.push(...checkOperation(operation, own, ledger, callsOf.get(operation) ?? []));
  }
  for (const operation of callsOf.keys()) {
    if (!runsOf.has(operation))
      violations.push(
        `the provider was asked for operation ${operation}, of which nothing is stored`,
      );
  }
  return [...violations, ...checkSums(facts)];
};

/** All runs that asked the same, against all that the provider said to it. */
function checkOperation(
  operation: number,
  runs: readonly RunFacts[],
  ledger: readonly LedgerRow[],
  calls: readonly ProviderCall[],
): string[] {
  const violations: string[] = [];
  const isExact = (row: LedgerRow) => !row.estimated;
  for (const { run, answer } of runs) {
    const row = ledger.find(({ runId }) => runId === run.id);
    if (!row || !answer) continue;
    if (run.state === "completed") {
      if (row.estimated) violations.push(`run ${run.id} completed, and its tokens are an estimate`);
    } else if (row.inputTokens + row.outputTokens > 0 && !row.estimated) {
      violations.push(`run ${run.id} (${run.state}) is not marked as estimated`);
    }
    if (row.inputTokens !== answer.inputTokens || row.outputTokens !== answer.outputTokens)
      violations.push(`run ${run.id} has another usage in its message than in the ledger`);
  }
  const whole = calls.filter(({ isWhole }) => isWhole);
  const completed = ledger.filter(isExact);
  const output = sum(completed.map(({ outputTokens }) => outputTokens));
  const input = sum(completed.map(({ inputTokens }) => inputTokens));
  // An answer that came whole may still belong to a run that was stopped, or whose process died.
  const stopped = runs.filter(({ run }) => run.state !== "completed").length;
  const mostOutput = sum(whole.map(({ sent }) => sent.length));
  const mostInput = sum(whole.map(({ inputTokens }) => inputTokens));
  // Anthropic tells the input, and one token of output, before the first piece.
  const begun = calls.filter(({ isWhole, toldInput }) => !isWhole && toldInput);
  const told = sum(begun.map(({ inputTokens }) => inputTokens));
  if (output > mostOutput + begun.length || input > mostInput + told)
    violations.push(
      `operation ${operation} is billed ${input} + ${output} tokens, the provider counted ${mostInput} (and ${told} of broken calls) + ${mostOutput}`,
    );
  if (stopped === 0 && (output < mostOutput || input < mostInput))
    violations.push(
      `operation ${operation} is billed ${input} + ${output} tokens, the provider's bill is ${mostInput} + ${mostOutput}`,
    );
  return [...violations, ...checkEstimates(operation, ledger, runs, calls)];
}

/** An estimate counts a word as one or two tokens, and a few for the message. */
function checkEstimates(
  operation: number,
  ledger: readonly LedgerRow[],
  runs: readonly RunFacts[],
  calls: readonly ProviderCall[],
): string[] {
  const rows = ledger.filter(({ estimated }) => estimated);
  const sent = sum(calls.map(({ sent }) => sent.length));
  const received = sum(calls.map(({ inputTokens }) => inputTokens));
  const violations: string[] = [];
  for (const row of rows) {
    const answer = runs.find(({ run }) => run.id === row.runId)?.answer;
    const arrived = answer?.text.split(" ").filter((word) => word !== "").length ?? 0;
    if (row.outputTokens < arrived || row.outputTokens > 2 * sent + 8 * calls.length + 4)
      violations.push(
        `operation ${operation}: run ${row.runId} is estimated at ${row.outputTokens} tokens, ${arrived} arrived and ${sent} were sent`,
      );
    // A run whose process died is billed its question even if the provider was not reached.
    if (row.inputTokens > 2 * received + 2000)
      violations.push(
        `operation ${operation}: run ${row.runId} is estimated at ${row.inputTokens} tokens of input, the provider got ${received}`,
      );
  }
  return violations;
}

function checkSums({ stored }: Facts): string[] {
  const violations: string[] = [];
  const { ledger, sums, pending } = stored;
  if (pending > 0) violations.push(`${pending} rows of the ledger are in no sum`);
  const own = {
    runs: ledger.length,
    inputTokens: sum(ledger.map(({ inputTokens }) => inputTokens)),
    outputTokens: sum(ledger.map(({ outputTokens }) => outputTokens)),
    costMicros: sum(ledger.map(({ costMicros }) => costMicros ?? 0)),
  };
  for (const name of ["runs", "inputTokens", "outputTokens", "costMicros"] as const) {
    if (own[name] !== sums[name])
      violations.push(`the ledger has ${own[name]} ${name}, its sums say ${sums[name]}`);
  }
  return violations;
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}
