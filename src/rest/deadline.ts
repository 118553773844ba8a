/** Reads the deadline that a client sets for its call. */
import type { IncomingHttpHeaders } from "node:http";
import { invalidArgument, quote } from "./errors.ts";

/** The longest that a timer can wait, about 24 days. */
const longest = 0x7fffffff;

const grpcUnits: Readonly<Record<string, number>> = {
  H: 3_600_000,
  M: 60_000,
  S: 1_000,
  m: 1,
  u: 1e-3,
  n: 1e-6,
};

/**
 * The time that a call has, in milliseconds: the shortest of
 * `connect-timeout-ms`, `grpc-timeout` and `x-server-timeout` (seconds).
 * Undefined if there is none of them. Throws INVALID_ARGUMENT.
 */
export function timeoutOf(headers: IncomingHttpHeaders): number | undefined {
  const connect = headers["connect-timeout-ms"];
  const grpc = headers["grpc-timeout"];
  const server = headers["x-server-timeout"];
  if (connect === undefined && grpc === undefined && server === undefined) return undefined;
  let shortest = longest;
  if (connect !== undefined) {
    const text = String(connect);
    if (!/^\d{1,10}$/.test(text)) fail("connect-timeout-ms", "up to 10 digits", text);
    shortest = Math.min(shortest, Number(text));
  }
  if (grpc !== undefined) {
    const text = String(grpc);
    const [, digits, unit] = /^(\d{1,8})([HMSmun])$/.exec(text) ?? [];
    const milliseconds = grpcUnits[unit ?? ""];
    if (milliseconds === undefined) fail("grpc-timeout", "a value like 250m or 5S", text);
    shortest = Math.min(shortest, Number(digits) * milliseconds);
  }
  if (server !== undefined) {
    const text = String(server);
    if (!/^\d{1,10}(\.\d{1,9})?$/.test(text)) fail("x-server-timeout", "seconds like 1.5", text);
    shortest = Math.min(shortest, Number(text) * 1_000);
  }
  return Math.ceil(shortest);
}

function fail(header: string, expected: string, text: string): never {
  throw invalidArgument(header, `expected ${expected}, got ${quote(text)}`);
}
