/**
 * Whether the process has more to do than it can. A process that takes everything on
 * answers nobody in time; one that refuses a part at once answers the rest.
 */
import { RateClass } from "../../gen/tribe/v1/policy_pb.js";
import { unavailable, type DomainError } from "../errors.ts";

/** Something that fills up. */
export interface Gauge {
  /** In words: «calls in flight». */
  readonly name: string;
  /** Where nothing more is taken on. */
  readonly limit: number;
  /** Asked for each call: must be quick. */
  read(): number;
}

/** What is full, and how full. */
export interface Pressure {
  /** The fullest gauge's reading as a share of its limit. */
  readonly level: number;
  /** The fullest gauge. */
  readonly gauge: Gauge | undefined;
}

/** Sheds calls, the least important first. */
export interface Overload {
  pressure(): Pressure;
  /** UNAVAILABLE, if a call of this class is not to be taken on now. */
  refusal(rateClass: RateClass): DomainError | undefined;
  /** How many calls were refused since the start, by class. */
  refused(): Readonly<Partial<Record<RateClass, number>>>;
}

/** From which pressure on a class is refused. Health is never. */
const thresholds: Partial<Record<RateClass, number>> = {
  [RateClass.HEAVY]: 0.6,
  [RateClass.READ]: 0.7,
  [RateClass.WRITE]: 0.8,
  [RateClass.AUTH]: 0.9,
  [RateClass.CHAT]: 1,
};

/** Below this nothing is refused. */
export const lowestThreshold = 0.6;

export function createOverload(gauges: readonly Gauge[]): Overload {
  const refused: Partial<Record<RateClass, number>> = {};

  function pressure(): Pressure {
    let level = 0;
    let fullest: Gauge | undefined;
    for (const gauge of gauges) {
      const share = gauge.read() / gauge.limit;
      if (share <= level) continue;
      level = share;
      fullest = gauge;
    }
    return { level, gauge: fullest };
  }

  return {
    pressure,
    refusal(rateClass) {
      const { level, gauge } = pressure();
      if (level < lowestThreshold || level < (thresholds[rateClass] ?? Infinity)) return undefined;
      refused[rateClass] = (refused[rateClass] ?? 0) + 1;
      return unavailable("OVERLOADED", `the server is busy (${gauge?.name}); try again`);
    },
    refused: () => refused,
  };
}
