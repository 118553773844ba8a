/**
 * The load generator: one job at a time, in a process of its own.
 * Run by fork(): takes LoadJobs, answers each with its LoadResult.
 */
import { createLoadClient } from "./load-clients.ts";
import type { Latency, LoadJob, LoadResult } from "./load-job.ts";

function latency(milliseconds: number[]): Latency {
  const sorted = Float64Array.from(milliseconds).sort();
  const at = (share: number) => sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN;
  return { p50: at(0.5), p99: at(0.99) };
}

/** The same random numbers in every job, so that everyone meets the same arrivals. */
function seededRandom(): () => number {
  let state = 42;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return (state + 0.5) / 4294967296;
  };
}

function run({ target, shape, until }: LoadJob): Promise<LoadResult> {
  const client = createLoadClient(target);
  const latencies: number[] = [];
  const firstTexts: number[] = [];
  let sent = 0;
  let pending = 0;
  let failures = 0;
  let firstFailure: string | undefined;
  let allSent = false;
  const start = performance.now();

  return new Promise((resolve) => {
    const over = () =>
      "turns" in until ? sent >= until.turns : performance.now() - start >= until.seconds * 1000;

    const finish = async () => {
      const seconds = (performance.now() - start) / 1000;
      await client.close();
      resolve({
        turns: sent - failures,
        failures,
        ...(firstFailure && { firstFailure }),
        seconds,
        latency: latency(latencies),
        ...(firstTexts.length > 0 && { firstText: latency(firstTexts) }),
      });
    };

    const send = (then?: () => void) => {
      const body = target.bodies[sent++ % target.bodies.length] as Uint8Array;
      const sentAt = performance.now();
      pending++;
      client.send(body, ({ failure, firstTextAt }) => {
        pending--;
        if (failure) {
          failures++;
          firstFailure ??= failure;
        } else {
          latencies.push(performance.now() - sentAt);
          if (firstTextAt) firstTexts.push(firstTextAt - sentAt);
        }
        then?.();
        if (allSent && pending === 0) void finish();
      });
    };

    if ("concurrency" in shape) {
      const again = () => {
        allSent ||= over();
        if (!allSent) send(again);
      };
      for (let i = 0; i < shape.concurrency; i++) again();
    } else {
      const random = seededRandom();
      let due = start;
      const tick = () => {
        while (due <= performance.now() && !over()) {
          send();
          due += (-Math.log(random()) * 1000) / shape.rate;
        }
        allSent = over();
        if (!allSent) setTimeout(tick, 1);
        else if (pending === 0) void finish();
      };
      tick();
    }
  });
}

process.on("message", (job: LoadJob) => {
  void run(job).then((result) => process.send?.(result));
});
process.on("disconnect", () => process.exit());
