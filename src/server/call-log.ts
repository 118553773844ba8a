/** Writes the log line of a call. */
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

/** Gives the function that writes the log lines. A cause goes along with failures of ours only. */
export function createCallLog(logger: Logger): (entry: CallEntry) => void {
  return ({ cause, ...entry }) => {
    const level = levels[entry.code];
    if (level) logger[level](cause === undefined ? entry : { ...entry, err: cause }, "call");
    else logger.info(entry, "call");
  };
}
