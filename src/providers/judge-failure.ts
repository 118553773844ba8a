import { DomainError } from "../errors.ts";
import { askedPauseMs } from "./errors.ts";

/** What can be done about a failed attempt, and what it says of the deployment. */
export interface Judgement {
  /**
   * - `again`: the same deployment may succeed in a moment.
   * - `elsewhere`: not this one, but another may.
   * - `larger_model`: no deployment of this model can, a model with a larger context may.
   * - `final`: nobody can.
   */
  next: "again" | "elsewhere" | "larger_model" | "final";
  /** Whether it counts against the deployment. */
  counts: boolean;
  /** For how long the deployment is to be left alone, and whether a probe must end that. */
  pause?: { forMs: number; needsProbe: boolean };
}

/** After a refused key, an account that is used up, a model that is not there: only the operator can mend it. */
const OPERATOR_PAUSE_MS = 60_000;
/** A limit of rate without a word of when it ends. */
const RATE_PAUSE_MS = 1000;
/** The longest pause that a provider may ask for. */
const LONGEST_PAUSE_MS = 600_000;

const FINAL: Judgement = { next: "final", counts: false };
const OPERATORS: Judgement = {
  next: "elsewhere",
  counts: true,
  pause: { forMs: OPERATOR_PAUSE_MS, needsProbe: true },
};

/** Judges an error of `Provider.answer` or of its time limits. */
export function judgeFailure(error: unknown): Judgement {
  if (!(error instanceof DomainError)) return FINAL;
  const asked = askedPauseMs(error);
  const forMs = asked === undefined ? undefined : Math.min(asked, LONGEST_PAUSE_MS);
  switch (error.reason) {
    case "PROVIDER_AUTHENTICATION_FAILED":
    case "PROVIDER_QUOTA_EXHAUSTED":
      return OPERATORS;
    case "PROVIDER_RATE_LIMITED":
      return {
        next: "again",
        counts: true,
        pause: { forMs: forMs ?? RATE_PAUSE_MS, needsProbe: false },
      };
    case "PROVIDER_UNAVAILABLE":
    case "PROVIDER_STREAM_TRUNCATED":
      return {
        next: "again",
        counts: true,
        ...(forMs !== undefined && { pause: { forMs, needsProbe: false } }),
      };
    // It had its time already: the same one gets no more of it.
    case "PROVIDER_FIRST_TOKEN_TIMEOUT":
    case "PROVIDER_IDLE_TIMEOUT":
      return { next: "elsewhere", counts: true };
    case "PROVIDER_TOTAL_TIMEOUT":
      return { next: "final", counts: true };
    case "CONTEXT_TOO_LONG":
      return { next: "larger_model", counts: false };
    case "PROVIDER_REJECTED_REQUEST":
      // The deployment does not have the model; everything else is the caller's input.
      return error.metadata["status"] === "404" ? OPERATORS : FINAL;
    default:
      return FINAL;
  }
}
