/** Waits for conditions, long enough for a machine that has more to do. */
import { vi } from "vitest";

const patience = { timeout: 20_000, interval: 10 };

/** Runs assertions until they hold. */
export function eventually<T>(assertions: () => T | Promise<T>): Promise<T> {
  return vi.waitFor(assertions, patience);
}

/** Waits until a condition is true. */
export async function until(condition: () => unknown): Promise<void> {
  await vi.waitUntil(condition, patience);
}
