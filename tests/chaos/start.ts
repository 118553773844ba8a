/**
 * `npm run chaos -- --seeds 20`: drills on real processes, each after a plan that its seed
 * makes. Ends with 1 if an invariant was violated; what is left of such a drill stays.
 *
 * --seeds N    how many, from --seed S on (default: 5, from a random one)
 * --seconds T  how long each has load, 1 to 30 (default: 5)
 * --plan       prints the plans and runs nothing
 */
import { randomInt } from "node:crypto";
import { chmodSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { runDrill } from "./drill.ts";
import { describePlan, makePlan } from "./plan.ts";
import { startWorld } from "./world.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "5" },
    seed: { type: "string", default: String(randomInt(2 ** 31)) },
    seconds: { type: "string", default: "5" },
    plan: { type: "boolean", default: false },
  },
});
const [count, first, seconds] = [values.seeds, values.seed, values.seconds].map(Number) as [
  number,
  number,
  number,
];
if (!(count >= 1) || !Number.isInteger(first) || !(seconds >= 1 && seconds <= 30))
  throw new Error("expected --seeds from 1, a whole --seed, and --seconds from 1 to 30");
const plans = Array.from({ length: count }, (_, index) => makePlan(first + index, seconds));

async function main(): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), "tribe-chaos-"));
  chmodSync(folder, 0o711);
  const world = await startWorld(folder);
  let failed = 0;
  let isComplete = false;
  try {
    for (const plan of plans) {
      const result = await runDrill(world, plan, join(folder, `seed-${plan.seed}`));
      const isWell = result.violations.length === 0;
      console.log(`seed ${plan.seed} ${isWell ? "holds" : "FAILS"}: ${result.summary}`);
      if (isWell) continue;
      failed += 1;
      console.log(describePlan(plan));
      for (const violation of result.violations) console.log(`VIOLATED ${violation}`);
      console.log(`Kept: ${result.folder}`);
      console.log(`Again: npm run chaos -- --seeds 1 --seed ${plan.seed} --seconds ${seconds}`);
    }
    isComplete = true;
  } finally {
    await world.stop();
    const postgres = join(folder, "postgres");
    rmSync(realpathSync(postgres), { recursive: true, force: true });
    if (isComplete && failed === 0) rmSync(folder, { recursive: true, force: true });
  }
  console.log(`${plans.length - failed} of ${plans.length} seeds hold`);
  return failed === 0 ? 0 : 1;
}

if (values.plan) for (const plan of plans) console.log(describePlan(plan));
else process.exitCode = await main();
