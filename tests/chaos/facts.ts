import type { Observation, SeenStream } from "./observations.ts";
import type { Plan, UserName } from "./plan.ts";
import type { ProviderCall } from "./provider-journal.ts";
import type { Exit } from "./service.ts";
import type { Stored, StoredMessageRow, StoredRunRow } from "./stored.ts";
import { operationOf } from "./words.ts";

/** Prices of the drill's model, micros a token, and what its users may do. */
export interface DrillRules {
  inputPrice: number;
  outputPrice: number;
  /** Of the user `limited`. */
  bucket: { capacity: number; refillPerSecond: number };
  concurrentRuns: number;
  /** Micros a day of the user `budgeted`; undefined: budgets are not kept. */
  budget: number | undefined;
}

/** A run told anew once all was mended, from its beginning. */
export interface Retelling {
  runId: string;
  stream: SeenStream;
  /** Text of the answer in the last event; undefined: the last event did not come. */
  answer: string | undefined;
}

/** All that is known after a drill. */
export interface Facts {
  plan: Plan;
  rules: DrillRules;
  users: Record<UserName, string>;
  observations: Observation[];
  retellings: Retelling[];
  stored: Stored;
  calls: ProviderCall[];
  exits: Exit[];
  /** How often a service began to keep limits alone: on a busy machine also without a fault. */
  timesAlone: number;
  audit: { valid: boolean; problem: string };
  /** What was said while it went wrong: not mended in time, not quiet. */
  troubles: string[];
}

/** Finds what does not hold, each as a sentence that says where. */
export type Check = (facts: Facts) => string[];

/** Rows by their ids. */
export function byId<Row extends { id: string }>(rows: readonly Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [row.id, row]));
}

/** Rows by something that several may share. */
export function groupBy<Row, Key>(rows: readonly Row[], keyOf: (row: Row) => Key) {
  const groups = new Map<Key, Row[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group) group.push(row);
    else groups.set(keyOf(row), [row]);
  }
  return groups;
}

/** A run with what belongs to it, and the number of the question that it answers. */
export interface RunFacts {
  run: StoredRunRow;
  question: StoredMessageRow | undefined;
  answer: StoredMessageRow | undefined;
  asked: number | undefined;
}

export function runFacts({ stored }: Facts): RunFacts[] {
  const messages = byId(stored.messages);
  return stored.runs.map((run) => {
    const question = messages.get(run.userMessageId);
    return {
      run,
      question,
      answer: messages.get(run.assistantMessageId),
      asked: question && operationOf(question.text),
    };
  });
}
