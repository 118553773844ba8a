/** Does memory stay? Many turns over REST, and what the process holds on the way. */
import { cpuMicroseconds, residentMegabytes } from "./accounting.ts";
import type { LoadJob, LoadResult } from "./load-job.ts";
import type { Bench } from "./measure.ts";
import { ask } from "./processes.ts";
import type { ScenarioPlan } from "./scenarios.ts";
import type { Subject } from "./subject.ts";

export interface SoakPoint {
  turns: number;
  residentMegabytes: number;
  turnsPerSecond: number;
  cpuPerTurn: number;
  failures: number;
}

/** Prints the memory after every tenth of the turns, and returns it. */
export async function soak(
  bench: Bench,
  subject: Subject,
  plan: ScenarioPlan,
  turns: number,
): Promise<SoakPoint[]> {
  const target = subject.target(plan.scenario);
  const pid = subject.process?.pid;
  if (!target || !pid) throw new Error(`${subject.name} cannot be soaked`);
  await ask(bench.provider, plan.provider);
  const step = Math.ceil(turns / 10);
  const points: SoakPoint[] = [];
  for (let done = 0; done < turns; done += step) {
    const job: LoadJob = { target, shape: plan.closed, until: { turns: step } };
    const before = cpuMicroseconds(pid);
    const result = await ask<LoadResult>(bench.load, job);
    const point = {
      turns: done + result.turns,
      residentMegabytes: residentMegabytes(pid),
      turnsPerSecond: result.turns / result.seconds,
      cpuPerTurn: (cpuMicroseconds(pid) - before) / result.turns,
      failures: result.failures,
    };
    points.push(point);
    console.log(
      `${point.turns} turns: ${point.residentMegabytes.toFixed(0)} MB, ` +
        `${point.turnsPerSecond.toFixed(0)} turns a second, ` +
        `${point.cpuPerTurn.toFixed(0)} CPU µs/turn` +
        (result.failures > 0 ? `, ${result.failures} failed: ${result.firstFailure}` : ""),
    );
  }
  return points;
}
