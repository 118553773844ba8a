/** The profile mode: what a service spends the CPU of a turn on, scenario by scenario. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { measure, type Bench } from "./measure.ts";
import type { BenchOptions } from "./options.ts";
import { formatProfile, startProfiler } from "./profile.ts";
import { warmUpTurns } from "./rounds.ts";
import type { ScenarioPlan } from "./scenarios.ts";
import type { Subject } from "./subject.ts";

/** Functions to print. */
const functions = 50;

/** Profiles each scenario's closed loop after a warm-up; prints each and keeps it in `results`. */
export async function profileScenarios(
  bench: Bench,
  subject: Subject,
  plans: readonly ScenarioPlan[],
  options: BenchOptions,
  inspectorPort: number,
  results: string,
): Promise<void> {
  for (const plan of plans) {
    const until = warmUpTurns(options, plan.scenario);
    await measure(bench, subject, plan, plan.closed, until, 0);
    const profiler = await startProfiler(inspectorPort);
    const seconds = { seconds: options.seconds };
    const measurement = await measure(bench, subject, plan, plan.closed, seconds, 1);
    const profile = await profiler.stop();
    const file = join(results, `${plan.scenario}.cpuprofile`);
    writeFileSync(file, JSON.stringify(profile));
    if (!measurement?.cpuPerTurn) continue;
    const { turns, cpuPerTurn } = measurement;
    console.log(`\n${plan.title}: ${cpuPerTurn.toFixed(0)} CPU µs/turn over ${turns} turns`);
    console.log(formatProfile(profile, cpuPerTurn, functions));
    console.log(`For DevTools: ${file}`);
  }
}
