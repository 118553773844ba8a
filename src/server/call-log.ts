/** Writes the log line of a call. */
import { DomainError } from "../errors.ts";
import type { CallEntry } from "../rpc/calls.ts";
import type { Logger } from "../telemetry/logger.ts";

/** Failures of ours are errors, those of what we depend on warnings, those of callers information. */
const levels: Record<string, "error" | "warn"> = {
  INTERNAL: "error",
  UNKNOWN: "error",
  DATA_LOSS: "error",
  UNAVAILABLE: "warn",
  DEADLINE_EXCEEDED: "warn",
};

/** What machines ask all the time, and nobody reads as long as the answer is good. */
const probes = new Set([
  "tribe.v1.HealthService/Check",
  "tribe.v1.HealthService/Live",
  "tribe.v1.HealthService/Ready",
  "grpc.health.v1.Health/Check",
  "grpc.health.v1.Health/List",
  "grpc.health.v1.Health/Watch",
]);

/**
 * Gives the function that writes the log lines. A cause goes along with failures of ours only.
 * Probes that went well are for debugging.
 */
export function createCallLog(logger: Logger): (entry: CallEntry) => void {
  return ({ cause, ...entry }) => {
    const level = levels[entry.code];
    if (level) {
      // That something we depend on is away needs no stack of ours, but what it said.
      const err = level === "warn" && cause instanceof DomainError ? cause.cause : cause;
      logger[level](err === undefined ? entry : { ...entry, err }, "call");
    } else if (entry.code === "OK" && probes.has(entry.rpc)) logger.debug(entry, "call");
    else logger.info(entry, "call");
  };
}
