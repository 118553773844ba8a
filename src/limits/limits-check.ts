import type { Limits, LimitsState } from "./limits.ts";

/** How the limits are kept, for the health of the service. They never fail, only become coarser. */
export function createLimitsCheck(limits: Pick<Limits, "state">) {
  return {
    name: "limits",
    essential: false,
    async check() {
      const { mode, processes, counters } = limits.state();
      return {
        status: mode === "alone" ? ("degraded" as const) : ("ok" as const),
        message: messageOf(mode, processes),
        figures: {
          processes,
          admitted: counters.admitted,
          rejected: counters.rejected,
          decided_alone: counters.decidedAlone,
          outages: counters.outages,
        },
      };
    },
  };
}

function messageOf(mode: LimitsState["mode"], processes: number): string {
  switch (mode) {
    case "shared":
      return "";
    case "in_process":
      return "kept in this process: there is no Redis";
    case "alone":
      return `Redis does not answer: this process gives away 1/${processes} of every limit by itself`;
  }
}
