/** A violation to plant into a drill that holds, and what the checks must say of it. */
import type { Facts } from "../facts.ts";
import type { Observation } from "../observations.ts";

export interface Plant {
  /** What is broken. */
  what: string;
  /** Into the database. */
  statements?: readonly string[];
  /** Into what was seen; the facts are a copy. */
  facts?(facts: Facts): void;
  says: RegExp;
}

/** The id of an answer that a client was told. */
export const answer = `(select id from messages where role = 'assistant' and status = 'completed' order by id limit 1)`;
/** What it answers, and its run. */
export const question = `(select parent_id from messages where id = ${answer})`;
export const run = `(select run_id from messages where id = ${answer})`;
/** The run that was cancelled. */
export const cancelled = `(select id from runs where state = 'cancelled')`;
/** No row has this id. */
export const nobody = "01980000-0000-7000-8000-00000000dead";

/** What the client of the first operation saw that fits. */
export function told(facts: Facts, fits: (observation: Observation) => boolean): Observation {
  const found = facts.observations.find(fits);
  if (!found) throw new Error("the drill has no such operation");
  return found;
}
export const isStream = ({ streams }: Observation) => (streams[0]?.sequences.length ?? 0) > 3;
export const isRetried = ({ operation }: Observation) => operation.retried !== undefined;
