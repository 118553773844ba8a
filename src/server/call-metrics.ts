/**
 * Measures calls by RPC, door and code.
 * Name and buckets: https://opentelemetry.io/docs/specs/semconv/rpc/rpc-metrics/
 */
import type { CallEntry } from "../rpc/calls.ts";
import type { HistogramHandle, Metrics } from "../telemetry/metrics.ts";

/** Seconds. Those of the convention, and longer ones: a stream lasts as long as its answer. */
const durationBounds = [
  0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 30, 60, 300,
];

/** What stands for requests that met no RPC: callers could name any number of them. */
const unknownMethod = "_OTHER";

/** Gives the function that measures. `rpcs`: the names of all RPCs that are served. */
export function createCallMetrics(
  metrics: Metrics,
  rpcs: Iterable<string>,
): (entry: CallEntry) => void {
  const durations = metrics.histogram(
    "rpc_server_call_duration_seconds",
    "Calls that were served, and how long they took, to the last message of a stream",
    ["rpc_method", "rpc_response_status_code", "door"],
    durationBounds,
  );
  const known = new Set(rpcs);
  // By RPC, door and code: three look-ups, and no key to put together.
  const handles = new Map<string, Map<string, Map<string, HistogramHandle>>>();

  function handleOf(rpc: string, door: string, code: string): HistogramHandle {
    const method = known.has(rpc) ? rpc : unknownMethod;
    let byDoor = handles.get(method);
    if (byDoor === undefined) handles.set(method, (byDoor = new Map()));
    let byCode = byDoor.get(door);
    if (byCode === undefined) byDoor.set(door, (byCode = new Map()));
    let handle = byCode.get(code);
    if (handle === undefined) byCode.set(code, (handle = durations.with(method, code, door)));
    return handle;
  }
  return ({ rpc, door, code, durationMs }) => handleOf(rpc, door, code).observe(durationMs / 1000);
}
