import {
  answer,
  cancelled,
  isRetried,
  isStream,
  question,
  run,
  told,
  type Plant,
} from "./plant.ts";

export const acknowledgedPlants: readonly Plant[] = [
  {
    what: "a lost answer",
    statements: [`delete from messages where id = ${answer}`],
    says: /nothing acknowledged .* the answer of run \S+ that was told is not stored so/,
  },
  {
    what: "an answer of other words",
    statements: [
      `update messages set content = '[{"type": "text", "text": "other"}]' where id = ${answer}`,
    ],
    says: /the answer of run \S+ that was told is not stored so/,
  },
  {
    what: "a lost question",
    statements: [`delete from messages where id = ${question}`],
    says: /the question \S+ that was told is not stored so/,
  },
  {
    what: "a lost run",
    statements: [`delete from runs where id = ${run}`],
    says: /run \S+ that was told is not stored$/,
  },
  {
    what: "another cost than was told",
    statements: [`update messages set cost_micros = cost_micros + 1 where id = ${answer}`],
    says: /is stored with another usage or cost than was told/,
  },
  {
    what: "a completed run that is stored as failed",
    statements: [`update runs set state = 'failed' where id = ${run}`],
    says: /was told as completed, and is not/,
  },
  {
    what: "a cancelled run that is stored as completed",
    statements: [`update runs set state = 'completed' where id = ${cancelled}`],
    says: /was told as \S*cancelled \(.*\), and is stored as completed/i,
  },
  {
    what: "a withdrawn run that is stored",
    facts: (facts) =>
      told(facts, isStream).failures.push({
        runId: "",
        state: "failed",
        reason: "RUN_WITHDRAWN",
        message: undefined,
      }),
    says: /its run was told as withdrawn, and is stored/,
  },
  {
    what: "a call that hung",
    facts: (facts) => void (told(facts, isStream).longestErrorMs = 31_000),
    says: /a call hung for 31000 ms/,
  },
  {
    what: "a caller who was never answered",
    facts: (facts) => void told(facts, isRetried).errors.push("gave up"),
    says: /was never answered/,
  },
];
