import { expect, it } from "vitest";
import { createRuns } from "../../src/chat/runs.ts";

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

it("finds a run for its user only, also just after it has ended", async () => {
  const runs = createRuns();
  const run = runs.start("run", "user", async () => {});
  expect(runs.find("run", "user")).toBe(run);
  expect(runs.find("run", "somebody else")).toBeUndefined();
  await runs.drain(1000);
  expect(runs.find("run", "user")).toBe(run);
});

it("forgets the oldest of many ended runs", async () => {
  const runs = createRuns();
  for (let index = 0; index < 300; index++) runs.start(`run ${index}`, "user", async () => {});
  await runs.drain(1000);
  expect(runs.find("run 0", "user")).toBeUndefined();
  expect(runs.find("run 299", "user")).toBeDefined();
});
