import type { Gauge } from "./overload.ts";

const sampleMs = 50;
/** The weight of the newest sample: about half a second is remembered, so one long pause sheds nothing. */
const weight = 0.1;

/** How late the event loop is, on average over about half a second, milliseconds. */
export function createEventLoopGauge(limitMs: number): Gauge & { stop(): void } {
  let average = 0;
  let due = performance.now() + sampleMs;
  const timer = setInterval(() => {
    const now = performance.now();
    average += (Math.max(0, now - due) - average) * weight;
    due = now + sampleMs;
  }, sampleMs).unref();
  return {
    name: "event loop delay",
    limit: limitMs,
    read: () => average,
    stop: () => clearInterval(timer),
  };
}
