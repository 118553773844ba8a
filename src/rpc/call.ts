/**
 * What the doors and the log know of a call. Every door makes one `Call` per
 * request and puts it into the context values, so that interceptors and handlers
 * add to the same record and whoever ends the request writes its one log line.
 */
import { createContextKey, type ContextValues } from "@connectrpc/connect";
import { randomUUIDv7 } from "node:crypto";
import type { CallTrace } from "./call-trace.ts";

/** Facts that interceptors and handlers add to a call's log line. No content, no secret. */
export interface CallFacts {
  userId?: string;
  apiKeyId?: string;
  conversationId?: string;
  runId?: string;
  model?: string;
  provider?: string;
  inputTokens?: number;
  outputTokens?: number;
  costMicros?: number;
  cached?: boolean;
  /** How many deployments were asked; set when more than one. */
  attempts?: number;
}

/** One request, from its headers to its log line. */
export interface Call {
  /** The caller's `x-request-id`, or a new UUIDv7. */
  readonly requestId: string;
  /** `grpc`, `connect`, `grpc-web`, `rest`; `http` until a route is known. */
  door: string;
  /** Where it came from: an IP address, or empty. */
  readonly address: string;
  /** When it came, in milliseconds of the monotonic clock. */
  readonly startedAt: number;
  facts: CallFacts | undefined;
  /** Of which trace it is; undefined for most. */
  trace: CallTrace | undefined;
  /** Whether the interceptors have it: then they write its log line. */
  served: boolean;
  /** Whether its log line is written. */
  logged: boolean;
}

/** The call that is being served; every door sets it. */
export const callKey = createContextKey<Call | undefined>(undefined, {
  description: "the call that is being served",
});

/** Begins the record of a call. `givenId` is the caller's `x-request-id`, if there is one. */
export function createCall(
  door: string,
  givenId: string | null | undefined,
  address: string = "",
): Call {
  return {
    requestId: acceptRequestId(givenId),
    door,
    address,
    startedAt: performance.now(),
    facts: undefined,
    trace: undefined,
    served: false,
    logged: false,
  };
}

/** Adds facts to the call's log line. */
export function addCallFacts(values: ContextValues, facts: CallFacts): void {
  const call = values.get(callKey);
  if (call) call.facts = { ...call.facts, ...facts };
}

const saneRequestId = /^[\x21-\x7e]{1,128}$/;

/** Takes over a request id of 1 to 128 printable characters; makes a UUIDv7 otherwise. */
export function acceptRequestId(given: string | null | undefined): string {
  return given && saneRequestId.test(given) ? given : randomUUIDv7();
}
