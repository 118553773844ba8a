import { expect, it } from "vitest";
import type { LiveRun } from "../../src/chat/run.ts";
import { createRuns } from "../../src/chat/runs.ts";
import type { TurnResult } from "../../src/chat/turn-result.ts";
import { DomainError } from "../../src/errors.ts";

it("lets runs end when the process drains, admits none, and interrupts those that take too long", async () => {
  const runs = createRuns();
  const quick = Promise.withResolvers<void>();
  runs.start("quick", "user", () => quick.promise);
  const slow = runs.start("slow", "user", (run) => {
    return new Promise((resolve) => run.signal.addEventListener("abort", () => resolve()));
  });
  const drained = runs.drain(1);
  expect(() => runs.admit()).toThrow(/shutting down/);
  quick.resolve();
  await drained;
  expect(slow.signal.reason).toBe("interrupted");
  expect(runs.inFlight()).toBe(0);
});

/** Reads a run to its end. */
async function follow(run: LiveRun): Promise<void> {
  for await (const event of run.follow(0, new AbortController().signal)) void event;
}

const failed = {
  type: "failed",
  status: "failed",
  error: new DomainError("INTERNAL", "INTERNAL", "internal error"),
  result: {} as TurnResult,
} as const;

it("finds a run for its user only, also just after it has ended if somebody followed it", async () => {
  const runs = createRuns();
  const run = runs.start("run", "user", async (run) => run.emit(failed));
  await follow(run);
  await runs.drain(1000);
  expect(runs.find("run", "user")).toBe(run);
  expect(runs.find("run", "somebody else")).toBeUndefined();
});

it("finds a run that nobody follows only while it lives: its answer is in the database", async () => {
  const runs = createRuns();
  const run = runs.start("run", "user", async () => {});
  expect(runs.find("run", "user")).toBe(run);
  expect(runs.find("run", "somebody else")).toBeUndefined();
  await runs.drain(1000);
  expect(runs.find("run", "user")).toBeUndefined();
});

it("forgets the oldest of many ended runs", async () => {
  const runs = createRuns();
  for (let index = 0; index < 300; index++) {
    await follow(runs.start(`run ${index}`, "user", async (run) => run.emit(failed)));
  }
  await runs.drain(1000);
  expect(runs.find("run 0", "user")).toBeUndefined();
  expect(runs.find("run 299", "user")).toBeDefined();
});
