import type { Caller } from "../identity/caller.ts";
import type { Limits, RateHeaders, Reservation, TurnDemand } from "../limits/limits.ts";
import type { LiveRun } from "./run.ts";
import type { RunFinder } from "./run-finder.ts";
import type { TurnRequest } from "./turn-request.ts";

/** A turn that wants to begin. */
export interface AdmissionRequest {
  request: TurnRequest;
  caller: Caller;
  runId: string;
  /** Undefined when there is no such model. */
  model: string | undefined;
  /** Estimated. */
  questionTokens: number;
  /** Aborts when the caller listens no more. */
  signal: AbortSignal;
}

/** What an admitted turn owes to the limits; exactly one of the three is called, once. */
export interface TurnAdmission {
  /** How the caller stands now. */
  headers: RateHeaders;
  /** The run has begun: once it ends, what it really used is counted. */
  settleWith(run: LiveRun): void;
  /** It came to no run: the tokens are given back, the request is not. */
  release(): void;
  /** It was a retry: everything is given back. */
  undo(): void;
}

/**
 * Takes what a turn needs from all limits in one round trip, or finds the run that a retry began
 * before, which costs nothing. Fails with RESOURCE_EXHAUSTED.
 */
export type Admit = (asked: AdmissionRequest) => Promise<TurnAdmission | { earlier: LiveRun }>;

/**
 * Reserved for an answer at most. More would make long `max_output_tokens` costly that are hardly
 * ever used; what is really used is counted in the end.
 */
const reservedAnswerTokens = 1024;

/** The database knows best which keys were used; Redis only saves asking it. */
export function createAdmission(
  limits: Pick<Limits, "admitTurn" | "settle" | "undo">,
  { findEarlier }: Pick<RunFinder, "findEarlier">,
): Admit {
  function admissionOf(reservation: Reservation, headers: RateHeaders): TurnAdmission {
    return {
      headers,
      settleWith(run) {
        void run.ended.then(({ result }) => {
          const usage = result.assistantMessage.answer?.usage;
          const used = usage ? usage.inputTokens + usage.outputTokens : reservation.tokens;
          // An answer from the cache has cost no provider anything.
          return limits.settle(reservation, result.cached ? 0 : used);
        });
      },
      release: () => limits.settle(reservation, 0),
      undo: () => limits.undo(reservation),
    };
  }

  return async function admit({ request, caller, runId, model, questionTokens, signal }) {
    const { idempotencyKey } = request;
    const { maxOutputTokens = reservedAnswerTokens } = request.parameters;
    const demand: TurnDemand = {
      caller,
      model,
      runId,
      tokens: questionTokens + Math.min(maxOutputTokens, reservedAnswerTokens),
      idempotencyKey,
    };
    const taken = await limits.admitTurn(demand);
    if (taken.outcome === "admitted" && (taken.isShared || idempotencyKey === undefined)) {
      return admissionOf(taken.reservation, taken.headers);
    }
    // A key that is known, or that Redis may have forgotten, or that a process alone cannot know.
    const earlier = await findEarlier(request, caller, signal).catch((error: unknown) => {
      if (taken.outcome === "admitted") limits.undo(taken.reservation);
      throw error;
    });
    if (earlier) {
      if (taken.outcome === "admitted") limits.undo(taken.reservation);
      return { earlier };
    }
    // The turn that had the key was refused, or is being opened at this very moment.
    const again =
      taken.outcome === "known"
        ? await limits.admitTurn({ ...demand, idempotencyKey: undefined })
        : taken;
    if (again.outcome === "admitted") return admissionOf(again.reservation, again.headers);
    throw again.error;
  };
}
