/** One drill: load and faults as planned, then all is mended, quiet, and checked. */
import { rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { createBreaker } from "./breaker.ts";
import { resume } from "./caller.ts";
import { violationsOf } from "./check.ts";
import type { Facts, Retelling } from "./facts.ts";
import { createObservation, type Observation } from "./observations.ts";
import { createOperator } from "./operator.ts";
import { describePlan, type Plan } from "./plan.ts";
import { readStored } from "./stored.ts";
import { setStage, type Stage, users, type World } from "./world.ts";

/** What came of a drill. */
export interface DrillResult {
  plan: Plan;
  violations: string[];
  /** For the line that says how it went. */
  summary: string;
  /** With logs, plan and facts; only after a failure. */
  folder: string | undefined;
}

/** How long everything may take to become whole after the load, in milliseconds. */
const mendingMs = 60_000;

/** Runs a plan. What is left of it is in `folder` if something was violated. */
export async function runDrill(world: World, plan: Plan, folder: string): Promise<DrillResult> {
  const begin = performance.now();
  const name = `drill_${plan.seed}_${Date.now()}`;
  const stage = await setStage(world, name, folder);
  const phases = [`set up ${secondsSince(begin)}`];
  const facts = await perform(world, stage, plan, phases);
  const violations = violationsOf(facts);
  const { stored, calls } = facts;
  const states = Map.groupBy(stored.runs, ({ state }) => state);
  const counts = [...states].map(([state, runs]) => `${runs.length} ${state}`).join(", ");
  const summary = `${secondsSince(begin)} (${phases.join(", ")}), ${plan.operations.length} operations, ${plan.faults.map(({ kind }) => kind).join(" ")}; ${calls.length} provider calls; runs: ${counts}`;
  if (violations.length === 0) {
    rmSync(folder, { recursive: true });
    await world.postgres.dropDatabase(name);
    return { plan, violations, summary, folder: undefined };
  }
  writeFileSync(join(folder, "plan.txt"), describePlan(plan));
  writeFileSync(join(folder, "violations.txt"), violations.join("\n"));
  writeFileSync(join(folder, "facts.json"), JSON.stringify(facts, forJson, 1));
  return { plan, violations, summary, folder };
}

function secondsSince(begin: number): string {
  return `${((performance.now() - begin) / 1000).toFixed(1)} s`;
}

/** Everything that is to be known of a drill on this stage. */
export async function perform(
  world: World,
  stage: Stage,
  plan: Plan,
  phases: string[] = [],
): Promise<Facts> {
  let phaseBegin = performance.now();
  const endPhase = (name: string) => {
    phases.push(`${name} ${secondsSince(phaseBegin)}`);
    phaseBegin = performance.now();
  };
  const { services, rules, databaseUrl } = stage;
  const troubles: string[] = [];
  world.provider.follow(plan);
  const begin = Date.now();
  const deadline = begin + plan.seconds * 1000 + mendingMs;
  const operator = createOperator(stage.clients, deadline);
  const breaker = createBreaker({ ...world, services });
  const operations = plan.operations.map(async (operation) => {
    await delay(Math.max(0, begin + operation.atMs - Date.now()));
    await operator.run(operation);
  });
  for (const fault of plan.faults) {
    await delay(Math.max(0, begin + fault.atMs - Date.now()));
    breaker.break(fault);
  }
  await breaker.mended();
  await Promise.all(services.map((service) => service.untilReady(deadline)));
  endPhase("load and mending");
  await Promise.all(operations);
  endPhase("answers");
  const observations = [...operator.observations.values()];
  troubles.push(...(await waitUntilQuiet(world, databaseUrl, deadline)));
  endPhase("quiet");
  const retellings = await retell(stage, observations);
  const audit = await stage.verifyAudit();
  await Promise.all(services.map((service) => service.end("SIGTERM")));
  endPhase("telling again and end");
  return {
    plan,
    rules,
    users,
    observations,
    retellings,
    stored: await readStored(databaseUrl),
    calls: await world.provider.journal(),
    exits: services.flatMap(({ exits }) => exits),
    timesAlone: services
      .map((service) => service.output().split("keeps its share of the limits alone").length - 1)
      .reduce((one, other) => one + other),
    audit,
    troubles,
  };
}

/** No run goes on, all is summed up, and nobody listens to the provider. */
async function waitUntilQuiet({ provider }: World, url: string, deadline: number) {
  for (;;) {
    const [{ runs, pending }, calls] = await Promise.all([readStored(url), provider.journal()]);
    const running = runs.filter(({ state }) => state === "running").length;
    const open = calls.filter(({ isOpen }) => isOpen).length;
    if (running + pending + open === 0) return [];
    if (Date.now() > deadline)
      return [`not quiet: ${running} runs go on, ${pending} rows in no sum, ${open} open calls`];
    await delay(100);
  }
}

/** Every run that a client knows of, told from its beginning by both services in turn. */
async function retell({ clients }: Stage, observations: readonly Observation[]) {
  const retellings: Retelling[] = [];
  for (const { operation, runIds, failures } of observations) {
    if (failures.some(({ reason }) => reason === "RUN_WITHDRAWN")) continue;
    for (const runId of runIds) {
      const seen = createObservation(operation);
      const pair = clients[operation.user];
      await resume(pair[retellings.length % 2 === 0 ? 0 : 1], runId, 0, seen);
      const [stream = { afterSequence: 0, sequences: [], pieces: [] }] = seen.streams;
      const last = seen.answers[0]?.assistantMessage ?? seen.failures[0]?.message;
      const answer = last?.content.map(({ part }) => (part.case === "text" ? part.value : ""));
      retellings.push({ runId, stream, answer: answer?.join("") });
    }
  }
  return retellings;
}

function forJson(_: string, value: unknown): unknown {
  if (typeof value === "bigint") return Number(value);
  if (value instanceof Set || value instanceof Map) return [...value.values()];
  return value;
}
