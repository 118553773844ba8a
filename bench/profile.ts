/** Where a service spends its CPU: a sampling profile taken while it is under load. */
import { formatTable } from "./table.ts";

/** What V8 gives; DevTools and editors open it as a `.cpuprofile` file. */
export interface CpuProfile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
    children?: number[];
  }[];
  /** The node that each sample ended in. */
  samples: number[];
  /** Microseconds between a sample and the one before. */
  timeDeltas: number[];
}

/** A profile that is being taken. */
export interface Profiler {
  stop(): Promise<CpuProfile>;
}

/** Begins a profile of a process that runs with `--inspect=127.0.0.1:port`. */
export async function startProfiler(port: number): Promise<Profiler> {
  const list = await fetch(`http://127.0.0.1:${port}/json/list`);
  const [inspected] = (await list.json()) as { webSocketDebuggerUrl: string }[];
  if (!inspected) throw new Error(`nothing to inspect on port ${port}`);
  const socket = new WebSocket(inspected.webSocketDebuggerUrl);
  await new Promise((resolve) => socket.addEventListener("open", resolve, { once: true }));
  const waiting = new Map<number, (result: unknown) => void>();
  socket.addEventListener("message", ({ data }) => {
    const { id, result } = JSON.parse(String(data)) as { id: number; result: unknown };
    waiting.get(id)?.(result);
  });
  let last = 0;
  const call = (method: string, parameters = {}) =>
    new Promise((resolve) => {
      waiting.set(++last, resolve);
      socket.send(JSON.stringify({ id: last, method, params: parameters }));
    });
  await call("Profiler.enable");
  await call("Profiler.setSamplingInterval", { interval: 200 });
  await call("Profiler.start");
  return {
    async stop() {
      const { profile } = (await call("Profiler.stop")) as { profile: CpuProfile };
      socket.close();
      return profile;
    },
  };
}

/** `pg` or `src/chat`: what a script belongs to; undefined for Node itself and for V8. */
function packageOf(url: string): string | undefined {
  const dependency = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  return dependency ?? /\/((?:src|gen)\/[^/]+)\//.exec(url)?.[1];
}

/** Whom each node's time is charged to: Node's and V8's own goes to the package that called them. */
function owners({ nodes }: CpuProfile): Map<number, string> {
  const result = new Map<number, string>();
  // A node stands before its children.
  for (const { id, callFrame, children = [] } of nodes) {
    const { functionName, url } = callFrame;
    const nobody = functionName.startsWith("(") && url === "" ? functionName : "node";
    const owner = packageOf(url) ?? result.get(id) ?? nobody;
    result.set(id, owner);
    for (const child of children) if (owner !== "(root)") result.set(child, owner);
  }
  return result;
}

/**
 * The packages and the functions with the most self time: their part of the CPU microseconds of a
 * turn, and their share of all time that was not idle.
 */
export function formatProfile(profile: CpuProfile, cpuPerTurn: number, functions: number): string {
  const frames = new Map(profile.nodes.map(({ id, callFrame }) => [id, callFrame]));
  const ownerOf = owners(profile);
  const byFunction = new Map<string, number>();
  const byOwner = new Map<string, number>();
  const add = (sums: Map<string, number>, name: string, time: number) =>
    sums.set(name, (sums.get(name) ?? 0) + time);
  let busy = 0;
  profile.samples.forEach((id, index) => {
    const frame = frames.get(id);
    const time = profile.timeDeltas[index] ?? 0;
    if (!frame || frame.functionName === "(idle)") return;
    const { functionName, url, lineNumber } = frame;
    busy += time;
    const place = url && `${url.replace(/.*\/node_modules\/|.*\/(?=src\/)/, "")}:${lineNumber + 1}`;
    add(byFunction, `${functionName || "(anonymous)"} ${place}`, time);
    add(byOwner, ownerOf.get(id) ?? "", time);
  });
  const top = (sums: Map<string, number>, length: number) =>
    [...sums]
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, length)
      .map(([name, time]) => {
        const share = `${((time / busy) * 100).toFixed(1)}%`;
        return [
          `${((time / busy) * cpuPerTurn).toFixed(1).padStart(7)} ${share.padStart(6)}`,
          name,
        ];
      });
  return [
    formatTable(["µs/turn  busy", "package"], top(byOwner, 25)),
    formatTable(["µs/turn  busy", "function"], top(byFunction, functions)),
  ].join("\n\n");
}
