import { once } from "node:events";
import { expect, it } from "vitest";
import type { RunLog } from "../../src/chat/run-log.store.ts";
import type { LiveRun } from "../../src/chat/run.ts";
import { createRuns } from "../../src/chat/runs.ts";
import type { TurnResult } from "../../src/chat/turn-result.ts";
import { DomainError } from "../../src/errors.ts";

it("lets runs end when the process drains, and those of the last calls, and then interrupts and admits none", async () => {
  const runs = createRuns();
  const quick = Promise.withResolvers<void>();
  runs.start("quick", "user", () => quick.promise);
  const slow = runs.start("slow", "user", (run) => {
    return new Promise((resolve) => run.signal.addEventListener("abort", () => resolve()));
  });
  const lastCall = Promise.withResolvers<void>();
  const drained = runs.drain(1, undefined, lastCall.promise);
  runs.admit();
  quick.resolve();
  await once(slow.signal, "abort");
  expect(slow.signal.reason).toBe("interrupted");
  expect(() => runs.admit()).toThrow(/shutting down/);
  lastCall.resolve();
  await drained;
  expect(runs.inFlight()).toBe(0);
});

it("waits for a run that the last call began after all others had ended", async () => {
  const runs = createRuns();
  const lastCall = Promise.withResolvers<void>();
  const generated = Promise.withResolvers<void>();
  let isDrained = false;
  const drained = runs.drain(60_000, undefined, lastCall.promise).then(() => (isDrained = true));
  runs.start("late", "user", () => generated.promise);
  lastCall.resolve();
  await new Promise((resolve) => setImmediate(resolve));
  expect([isDrained, runs.inFlight()]).toEqual([false, 1]);
  generated.resolve();
  await drained;
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

it("lets others tell a run whose first follower came when its log had ended without its pieces", async () => {
  let unwritten = 0;
  const written: number[] = [];
  const writer = {
    append: () => void unwritten++,
    async end(needed: boolean) {
      if (needed) written.push(unwritten);
    },
    isWhole: () => written.length > 0,
  };
  const log = { writer: () => writer } as unknown as RunLog;
  const runs = createRuns(log);
  runs.start("run", "user", async (run) => {
    run.emit({ type: "text", text: "Hello" });
    await run.endLog();
    const follower = follow(run);
    run.emit(failed);
    await follower;
  });
  await runs.drain(1000);
  expect(written).toEqual([1]);
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
