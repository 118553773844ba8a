import type { Logger } from "../telemetry/logger.ts";
import type { AuditTrail } from "./trail.ts";

/** What the log of refusals needs. */
export interface RefusalLogParts {
  write(trail: AuditTrail, outcome: string): Promise<void>;
  logger: Logger;
}

/** Refusals on their way into the audit log. */
export interface RefusalLog {
  /** Resolves when the refusal is written, or counted. Never rejects: it was refused anyway. */
  note(trail: AuditTrail, outcome: string): Promise<void>;
}

/** Repeats within this time become one event that says how many they were. */
const windowMs = 10_000;
/** More kinds of refusals than this at a time are not told apart. */
const maxKinds = 1000;

/**
 * Writes refusals. Those of strangers are written once and then counted, so that whoever has no
 * credential cannot fill the log.
 */
export function createRefusalLog({ write, logger }: RefusalLogParts): RefusalLog {
  const repeats = new Map<string, number>();

  function writeOrWarn(trail: AuditTrail, outcome: string): Promise<void> {
    return write(trail, outcome).catch((error: unknown) => {
      const { action } = trail;
      logger.error({ err: error, action, outcome }, "a refusal is missing from the audit log");
    });
  }

  return {
    async note(trail, outcome) {
      // Whoever knows more of the refusal has written it already.
      if (trail.isRefusalRecorded) return;
      const isStranger = trail.userId === undefined && trail.call?.facts?.userId === undefined;
      if (!isStranger) return writeOrWarn(trail, outcome);
      const own = `${trail.action} ${outcome} ${trail.address}`;
      const kind = repeats.has(own) || repeats.size < maxKinds ? own : `${trail.action} ${outcome}`;
      const count = repeats.get(kind);
      if (count !== undefined) {
        repeats.set(kind, count + 1);
        return;
      }
      repeats.set(kind, 0);
      setTimeout(() => {
        const repeated = repeats.get(kind) ?? 0;
        repeats.delete(kind);
        if (repeated === 0) return;
        const facts = { ...trail.facts, repeated: String(repeated) };
        void writeOrWarn({ ...trail, facts, address: kind === own ? trail.address : "" }, outcome);
      }, windowMs).unref();
      return writeOrWarn(trail, outcome);
    },
  };
}
