/**
 * The bench. Starts everything once, then measures every subject in every scenario, round
 * after round, each round in another order. See README.md.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { startDatabases } from "./databases.ts";
import { measure, type Bench, type Measurement } from "./measure.ts";
import { readOptions } from "./options.ts";
import { makeHistory, provider, startLlms, startPortkey } from "./peers.ts";
import { ask, startWorker, stop } from "./processes.ts";
import { formatProfile } from "./profile.ts";
import { formatReport, summarise } from "./report.ts";
import { planScenarios } from "./scenarios.ts";
import { soak } from "./soak.ts";
import { startTribe } from "./tribe.ts";
import { verify } from "./verify.ts";

/** Pieces of the answers in the history: some 300 letters. */
const historyPieces = 64;

const options = readOptions(process.argv.slice(2));
const plans = planScenarios(options).filter(({ scenario }) => options.scenarios.includes(scenario));
const results = join(import.meta.dirname, "results");
const directory = join(results, `run-${process.pid}`);
// PostgreSQL does not run as root: another user must be able to pass.
mkdirSync(directory, { recursive: true, mode: 0o711 });
const say = (text: string) => console.log(text);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(130));

say("Starting PostgreSQL, Redis, the provider server and the load generator");
const databases = await startDatabases(directory);
const bench: Bench = {
  provider: startWorker("./provider-server.ts"),
  load: startWorker("./load-generator.ts"),
  databases,
};
const providerOrigin = `http://127.0.0.1:${await ask<number>(bench.provider)}`;
await ask(bench.provider, { pieces: historyPieces, pieceInterval: 0 });

const { historyMessages } = options;
const peer = {
  providerOrigin,
  logs: directory,
  history: makeHistory(historyMessages, historyPieces),
};
const start = {
  tribe() {
    const { conversations } = options;
    say(`Starting Tribe and making ${conversations} conversations of ${historyMessages} messages`);
    const nodeOptions = options.profile ? ["--cpu-prof", `--cpu-prof-dir=${directory}`] : [];
    const shared = { databases, providerOrigin, logs: directory };
    return startTribe({ ...shared, nodeOptions, historyMessages, conversations });
  },
  portkey: () => startPortkey(peer),
  llms: () => startLlms(peer),
};
const names = options.soak ? ["tribe"] : options.subjects;
const subjects = [provider(peer)];
for (const name of names) {
  if (!(name in start))
    throw new Error(`--subjects: ${Object.keys(start).join(", ")}, not ${name}`);
  subjects.push(await start[name as keyof typeof start]());
}

say("Checking that everyone asks and answers the same");
for (const plan of plans) {
  for (const subject of subjects) {
    await verify(bench, providerOrigin, subject, plan, historyMessages);
  }
}

const record: Record<string, unknown> = { options, cpu: cpus()[0]?.model, node: process.version };
if (options.soak) {
  const [, tribe] = subjects;
  const [plan] = plans;
  if (tribe && plan) record["soak"] = await soak(bench, tribe, plan, options.soak);
} else {
  const measurements = await measureAll();
  const report = summarise(plans, measurements);
  Object.assign(record, { report, measurements });
  say(`\nOne answer: ${options.pieces} pieces; a streamed one: ${options.streamPieces} pieces.`);
  say(`Medians of ${options.rounds} rounds; "to Portkey" is the median of the rounds' ratios.`);
  say(`gRPC is compared with the others' REST.\n\n${formatReport(report)}\n`);
}

for (const { process: service } of subjects) if (service) await stop(service);
await databases.stop();
const time = new Date().toISOString().replaceAll(/[:.]/g, "-");
const file = join(results, `${options.soak ? "soak" : "bench"}-${time}.json`);
writeFileSync(file, JSON.stringify(record, undefined, 2));
say(`Everything measured is in ${file}`);
if (options.profile) {
  say(`\n${formatProfile(directory, 60)}\n\nThe CPU profile of Tribe is in ${directory}`);
} else rmSync(directory, { recursive: true, force: true });
process.exit();

async function measureAll(): Promise<Measurement[]> {
  say("Warming up");
  const warmUp = { seconds: Math.min(options.seconds, 4) };
  for (const plan of plans) {
    for (const subject of subjects) await measure(bench, subject, plan, plan.closed, warmUp, 0);
  }
  const all: Measurement[] = [];
  const until = { seconds: options.seconds };
  for (let round = 1; round <= options.rounds; round++) {
    say(`Round ${round} of ${options.rounds}`);
    // Nobody always goes first.
    const order = [
      ...subjects.slice(round % subjects.length),
      ...subjects.slice(0, round % subjects.length),
    ];
    for (const plan of plans) {
      for (const shape of [plan.closed, ...plan.open]) {
        for (const subject of order) {
          const measurement = await measure(bench, subject, plan, shape, until, round);
          if (!measurement) continue;
          all.push(measurement);
          const { failures, firstFailure } = measurement;
          if (failures > 0)
            say(`${subject.name}, ${plan.scenario}: ${failures} failed: ${firstFailure}`);
        }
      }
    }
  }
  return all;
}
