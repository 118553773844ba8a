/** What clients were told: all that the checker knows of their side. */
import type { Message } from "../../gen/tribe/v1/message_pb.js";
import type { SendMessageResponse } from "../../gen/tribe/v1/chat_pb.js";
import type { Operation } from "./plan.ts";

/** A piece of a stream. */
export interface SeenPiece {
  sequence: number;
  text: string;
}

/** The last event of a run that did not complete. */
export interface SeenFailure {
  runId: string;
  /** `failed`, `cancelled` or `interrupted`; undefined: unary calls are not told. */
  state: string | undefined;
  reason: string;
  message: Message | undefined;
}

/** One stream from its begin to its end or loss; several make the whole when it was resumed. */
export interface SeenStream {
  /** Of the resumption; 0: from the start. */
  afterSequence: number;
  /** Sequences of all events. */
  sequences: number[];
  pieces: SeenPiece[];
}

/** What the client of one operation saw. */
export interface Observation {
  operation: Operation;
  /** Whether anything was sent: the drill's time was long enough. */
  wasSent: boolean;
  /** Every run that it was told of. */
  runIds: Set<string>;
  /** Messages that `run_started` or an answer named as stored. */
  questions: Map<string, Message>;
  /** Answers of unary calls, and those of `completed` events. */
  answers: SendMessageResponse[];
  failures: SeenFailure[];
  streams: SeenStream[];
  /** Calls that ended with an error of their own: code and reason. */
  errors: string[];
  /** How long the longest call took that answered nothing, in milliseconds. */
  longestErrorMs: number;
}

export function createObservation(operation: Operation): Observation {
  return {
    operation,
    wasSent: false,
    runIds: new Set(),
    questions: new Map(),
    answers: [],
    failures: [],
    streams: [],
    errors: [],
    longestErrorMs: 0,
  };
}
