/** One measurement: a job of the load generator, and what it cost whom. */
import type { ChildProcess } from "node:child_process";
import {
  coreBusyMicroseconds,
  cpuMicroseconds,
  familyCpuMicroseconds,
  residentMegabytes,
} from "./accounting.ts";
import type { Databases } from "./databases.ts";
import type { LoadJob, LoadResult, LoadShape } from "./load-job.ts";
import { ask, otherCore, serviceCore } from "./processes.ts";
import type { Scenario, ScenarioPlan } from "./scenarios.ts";
import type { Subject } from "./subject.ts";

export interface Bench {
  provider: ChildProcess;
  load: ChildProcess;
  databases: Databases;
}

export interface Measurement extends LoadResult {
  round: number;
  subject: string;
  scenario: Scenario;
  shape: LoadShape;
  /** CPU microseconds a turn of the service; undefined for the provider asked directly. */
  cpuPerTurn?: number;
  /** CPU microseconds a turn of PostgreSQL and Redis together. */
  databasesPerTurn: number;
  /** 0 to 1. Whoever used them: a service core busier than the service was disturbed. */
  serviceCoreBusy: number;
  otherCoreBusy: number;
  residentMegabytes?: number;
}

interface Readings {
  time: number;
  service: number;
  databases: number;
  serviceCore: number;
  otherCore: number;
}

function read({ databases }: Bench, subject: Subject): Readings {
  return {
    time: performance.now() * 1000,
    service: subject.process ? cpuMicroseconds(subject.process.pid as number) : 0,
    databases:
      familyCpuMicroseconds(databases.postgresPid) + cpuMicroseconds(databases.redis.pid as number),
    serviceCore: coreBusyMicroseconds(serviceCore),
    otherCore: coreBusyMicroseconds(otherCore),
  };
}

/** Runs one job; undefined where the subject does not have the scenario. */
export async function measure(
  bench: Bench,
  subject: Subject,
  plan: ScenarioPlan,
  shape: LoadShape,
  until: LoadJob["until"],
  round: number,
): Promise<Measurement | undefined> {
  const target = subject.target(plan.scenario);
  if (!target) return undefined;
  await ask(bench.provider, plan.provider);
  const before = read(bench, subject);
  const result = await ask<LoadResult>(bench.load, { target, shape, until } satisfies LoadJob);
  const after = read(bench, subject);
  const time = after.time - before.time;
  const pid = subject.process?.pid;
  return {
    round,
    subject: subject.name,
    scenario: plan.scenario,
    shape,
    ...result,
    ...(pid && {
      cpuPerTurn: (after.service - before.service) / result.turns,
      residentMegabytes: residentMegabytes(pid),
    }),
    databasesPerTurn: (after.databases - before.databases) / result.turns,
    serviceCoreBusy: (after.serviceCore - before.serviceCore) / time,
    otherCoreBusy: (after.otherCore - before.otherCore) / time,
  };
}
