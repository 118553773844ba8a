/**
 * Statements of the hot path share a few connections, called lanes, on which they are
 * pipelined: whatever was asked in one turn of the event loop goes out in one write for
 * each lane, and nobody waits for an answer before sending. That saves most of what a
 * pool costs: checking connections out and in, a write and a wake-up for each statement.
 * Each statement stays a transaction of its own. In a lane they are run one after the
 * other, so slow ones do not belong here.
 *
 * Built on pg's pipelining (https://node-postgres.com/features/pipelining) and on its
 * Submittable, the interface of pg-cursor. Only this file knows pg's insides; the
 * version of pg is pinned by @mikro-orm/postgresql.
 */
import { createLane, type Lane, type PgClient } from "./lane.ts";
import { createSubmission, type Submission } from "./submission.ts";

/** A statement that PostgreSQL parses once for each connection. */
export interface Statement {
  /** Unique among all statements. */
  readonly name: string;
  readonly text: string;
}

/** A row as PostgreSQL's text format has it. */
export type TextRow = (string | null)[];

export interface PipelineOptions {
  /** Makes a client of pg that is not connected. */
  createClient: () => PgClient;
  /** How many connections. */
  lanes: number;
  /** How many statements may be under way; more fail at once. */
  limit: number;
  /** How long a lane may give no answer while one is due, in milliseconds. */
  timeoutMs: number;
}

/** Runs statements. */
export interface Pipeline {
  /** Fails as pg fails. */
  query(statement: Statement, values: readonly unknown[]): Promise<TextRow[]>;
  /** How many statements are under way. */
  readonly underWay: number;
  /** Gives up the connections; what is under way fails. */
  giveUp(): void;
  /** Waits for what is under way and closes the connections. */
  close(): Promise<void>;
}

/** The most statements of one write: more lanes are used before one gets more. */
const batchSize = 8;

/** Opens its connections when they are needed. */
export function createPipeline(options: PipelineOptions): Pipeline {
  const lanes: Lane[] = Array.from({ length: options.lanes }, () =>
    createLane(options.createClient, options.timeoutMs),
  );
  let waiting: Submission[] = [];
  let underWay = 0;
  let closed = false;

  function end() {
    underWay -= 1;
  }

  function send() {
    const submissions = waiting;
    waiting = [];
    for (let start = 0; start < submissions.length; start += batchSize) {
      quietest(lanes).send(submissions.slice(start, start + batchSize));
    }
  }

  return {
    get underWay() {
      return underWay;
    },
    query(statement, values) {
      // A connection that was opened now would stay, and the process with it.
      if (closed) return Promise.reject(new Error("Connection terminated: it was closed"));
      if (underWay >= options.limit) {
        return Promise.reject(new Error("timeout expired: too many statements are waiting"));
      }
      underWay += 1;
      if (waiting.length === 0) setImmediate(send);
      return new Promise((resolve, reject) => {
        waiting.push(createSubmission(statement, values, resolve, reject, end));
      });
    },
    giveUp() {
      for (const lane of lanes) lane.giveUp();
    },
    async close() {
      closed = true;
      if (waiting.length > 0) send();
      await Promise.all(lanes.map((lane) => lane.close()));
    },
  };
}

function quietest(lanes: Lane[]): Lane {
  return lanes.reduce((best, lane) => (lane.underWay < best.underWay ? lane : best));
}
