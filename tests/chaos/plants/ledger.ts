import { answer, cancelled, nobody, run, type Plant } from "./plant.ts";

export const ledgerPlants: readonly Plant[] = [
  {
    what: "a run that is not billed",
    statements: [`delete from usage where run_id = ${run}`],
    says: /the ledger is .* run \S+ has 0 rows in the ledger/,
  },
  {
    what: "a run that is billed twice",
    statements: [
      `alter table usage drop constraint usage_pkey`,
      `insert into usage select * from usage where run_id = ${run}`,
    ],
    says: /run \S+ has 2 rows in the ledger/,
  },
  {
    what: "a bill for an unknown run",
    statements: [`update usage set run_id = '${nobody}' where run_id = ${run}`],
    says: /the ledger has a row of an unknown run/,
  },
  {
    what: "a wrong price",
    statements: [`update usage set cost_micros = cost_micros + 1 where run_id = ${run}`],
    says: /run \S+ costs \d+, by its tokens \d+/,
  },
  {
    what: "a completed run that was estimated",
    statements: [`update usage set estimated = true where run_id = ${run}`],
    says: /run \S+ completed, and its tokens are an estimate/,
  },
  {
    what: "a stopped run that is not marked as estimated",
    statements: [`update usage set estimated = false where run_id = ${cancelled}`],
    says: /run \S+ \(cancelled\) is not marked as estimated/,
  },
  {
    what: "a message with another usage than the ledger",
    statements: [`update messages set output_tokens = output_tokens + 1 where id = ${answer}`],
    says: /run \S+ has another usage in its message than in the ledger/,
  },
  {
    what: "more tokens than the provider counted",
    statements: [`update usage set output_tokens = output_tokens + 3 where run_id = ${run}`],
    says: /operation \d+ is billed \d+ \+ \d+ tokens, the provider counted/,
  },
  {
    what: "fewer tokens than the provider counted",
    statements: [`update usage set output_tokens = 0 where run_id = ${run}`],
    says: /operation \d+ is billed \d+ \+ 0 tokens, the provider's bill is/,
  },
  {
    what: "an estimate beyond reason",
    statements: [`update usage set output_tokens = 9999 where run_id = ${cancelled}`],
    says: /run \S+ is estimated at 9999 tokens/,
  },
  {
    what: "an estimate of input beyond reason",
    statements: [`update usage set input_tokens = 999999 where run_id = ${cancelled}`],
    says: /run \S+ is estimated at 999999 tokens of input/,
  },
  {
    what: "a call to the provider of which nothing is stored",
    facts: ({ calls }) => void calls.push({ ...calls[0]!, operation: 4711 }),
    says: /the provider was asked for operation 4711, of which nothing is stored/,
  },
  {
    what: "sums that are not the ledger's",
    statements: [`update usage_sums set output_tokens = output_tokens + 1`],
    says: /the ledger has \d+ outputTokens, its sums say \d+/,
  },
  {
    what: "rows that are in no sum",
    statements: [`insert into usage_pending (run_id) select run_id from usage limit 2`],
    says: /2 rows of the ledger are in no sum/,
  },
];
