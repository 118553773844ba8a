/** The comparison: every subject under every load, round after round. */
import type { LoadJob } from "./load-job.ts";
import { measure, type Bench, type Measurement } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import type { Scenario, ScenarioPlan } from "./scenarios.ts";
import type { Subject } from "./subject.ts";

/** Share of the warm-up's turns that each scenario takes: a stream is as long as many answers. */
const warmUpShare: Record<Scenario, number> = { rest: 1, grpc: 1, sse: 0.25, paced: 0.05 };

/** Turns until the compiler is done with a scenario, not seconds: a slow machine needs as many. */
export function warmUpTurns(options: BenchOptions, scenario: Scenario): LoadJob["until"] {
  return { turns: Math.ceil(options.warmUp * warmUpShare[scenario]) };
}

/** Warms everyone up, then measures; prints what fails on the way. */
export async function measureRounds(
  bench: Bench,
  subjects: readonly Subject[],
  plans: readonly ScenarioPlan[],
  options: BenchOptions,
): Promise<Measurement[]> {
  console.log("Warming up");
  for (const plan of plans) {
    const until = warmUpTurns(options, plan.scenario);
    for (const subject of subjects) await measure(bench, subject, plan, plan.closed, until, 0);
  }
  const measurements: Measurement[] = [];
  const until = { seconds: options.seconds };
  for (let round = 1; round <= options.rounds; round++) {
    console.log(`Round ${round} of ${options.rounds}`);
    // Nobody always goes first.
    const first = round % subjects.length;
    const order = [...subjects.slice(first), ...subjects.slice(0, first)];
    for (const plan of plans) {
      for (const shape of [plan.closed, ...plan.open]) {
        for (const subject of order) {
          const measurement = await measure(bench, subject, plan, shape, until, round);
          if (!measurement) continue;
          measurements.push(measurement);
          const { failures, firstFailure } = measurement;
          if (failures === 0) continue;
          console.log(`${subject.name}, ${plan.scenario}: ${failures} failed: ${firstFailure}`);
        }
      }
    }
  }
  return measurements;
}
