/** What is measured: a service, and how to ask it each scenario's question. */
import type { ChildProcess } from "node:child_process";
import type { LoadTarget } from "./load-job.ts";
import type { Scenario } from "./scenarios.ts";

export interface Subject {
  name: string;
  /** Undefined: the provider server itself, asked directly to know its share of the latency. */
  process: ChildProcess | undefined;
  /** Undefined where it does not have this scenario. */
  target(scenario: Scenario): LoadTarget | undefined;
}

/** Asks over HTTP once and returns the whole body; throws unless it succeeds. */
export async function askOnce(target: LoadTarget): Promise<string> {
  const response = await fetch(target.origin + target.path, {
    method: "POST",
    headers: target.headers,
    body: target.bodies[0] as Uint8Array<ArrayBuffer>,
  });
  const body = await response.text();
  if (!response.ok) throw new Error(`${target.origin}${target.path}: ${response.status} ${body}`);
  return body;
}
