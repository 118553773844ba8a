/**
 * The bench. Starts everything once, then measures every subject in every scenario, round
 * after round, each round in another order. See README.md.
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { cpus } from "node:os";
import { join } from "node:path";
import { startBare } from "./bare.ts";
import { startDatabases } from "./databases.ts";
import type { Bench } from "./measure.ts";
import { compareObserved, formatObserved } from "./observability.ts";
import { wasObserved } from "./observer-counts.ts";
import { readOptions } from "./options.ts";
import { makeHistory, provider, startLlms, startPortkey } from "./peers.ts";
import { ask, freePort, startWorker, stop } from "./processes.ts";
import { profileScenarios } from "./profile-run.ts";
import { formatReport, summarise } from "./report.ts";
import { measureRounds } from "./rounds.ts";
import { planScenarios, type ScenarioPlan } from "./scenarios.ts";
import { soak } from "./soak.ts";
import type { Subject } from "./subject.ts";
import { createTribes, type TribeName, tribeNames } from "./tribes.ts";
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
const inspectorPort = await freePort();
const { conversations } = options;
const nodeOptions = options.nodeOptions.concat(
  options.profile ? `--inspect=127.0.0.1:${inspectorPort}` : [],
);
const shared = { databases, providerOrigin, logs: directory };
const tribeOptions = { ...shared, nodeOptions, historyMessages, conversations };
const tribes = createTribes(tribeOptions);
function startNamed(name: TribeName) {
  say(`Starting ${name} and making ${conversations} conversations of ${historyMessages} messages`);
  return tribes.start(name);
}
const start: Record<string, () => Promise<Subject>> = {
  ...Object.fromEntries(tribeNames.map((name) => [name, () => startNamed(name)])),
  portkey: () => startPortkey(peer),
  llms: () => startLlms(peer),
  bare: () => startBare(tribeOptions),
};
const names = options.soak || options.profile ? ["tribe"] : options.subjects;
const subjects: Subject[] = [];
for (const name of names) {
  const startSubject = start[name];
  if (!startSubject) throw new Error(`--subjects: ${Object.keys(start).join(", ")}, not ${name}`);
  subjects.push(await startSubject());
}
const [first] = subjects as [Subject];

say("Checking that everyone asks and answers the same");
for (const plan of plans) {
  for (const subject of subjects) {
    await verify(bench, providerOrigin, subject, plan, historyMessages);
  }
}

const record: Record<string, unknown> = { options, cpu: cpus()[0]?.model, node: process.version };
if (options.soak) {
  const [plan] = plans as [ScenarioPlan];
  record["soak"] = await soak(bench, first, plan, options.soak);
} else if (options.profile) {
  await profileScenarios(bench, first, plans, options, inspectorPort, results);
} else {
  const measurements = await measureRounds(bench, [provider(peer), ...subjects], plans, options);
  const report = summarise(plans, measurements);
  Object.assign(record, { report, measurements });
  say(`\nOne answer: ${options.pieces} pieces; a streamed one: ${options.streamPieces} pieces.`);
  say(`Medians of ${options.rounds} rounds; "to Portkey" is the median of the rounds' ratios.`);
  say(`gRPC is compared with the peers' REST.\n\n${formatReport(report)}\n`);
  const observability = compareObserved(plans, measurements);
  const observers = await tribes.observed();
  if (observers) {
    Object.assign(record, { observability, observers });
    say(`${formatObserved(observability, observers)}\n`);
    if (!wasObserved(observers)) process.exitCode = 1;
  }
}

for (const { process: service } of subjects) if (service) await stop(service);
await databases.stop();
rmSync(directory, { recursive: true, force: true });
if (!options.profile) {
  const time = new Date().toISOString().replaceAll(/[:.]/g, "-");
  const file = join(results, `${options.soak ? "soak" : "bench"}-${time}.json`);
  writeFileSync(file, JSON.stringify(record, undefined, 2));
  say(`Everything measured is in ${file}`);
}
process.exit();
