/** Reads a CPU profile of V8: which functions, and whose, took the time. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { formatTable } from "./table.ts";

interface CpuProfile {
  nodes: {
    id: number;
    callFrame: { functionName: string; url: string; lineNumber: number };
    /** Samples that ended in this node. */
    hitCount: number;
  }[];
}

/** `pg`, `node:internal`, `src/chat`: what a script belongs to. */
function owner(url: string): string {
  const dependency = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1];
  if (dependency) return dependency;
  const own = /\/((?:src|gen)\/[^/]+)\//.exec(url)?.[1];
  return own ?? (url.startsWith("node:") ? "node" : "V8");
}

/** The functions and the packages with the most self time, of all time that was not idle. */
export function formatProfile(directory: string, functions: number): string {
  const file = readdirSync(directory).find((name) => name.endsWith(".cpuprofile"));
  if (!file) return "There is no profile: did Tribe end in order?";
  const profile = JSON.parse(readFileSync(join(directory, file), "utf8")) as CpuProfile;
  const byFunction = new Map<string, number>();
  const byOwner = new Map<string, number>();
  let busy = 0;
  for (const { callFrame, hitCount } of profile.nodes) {
    const { functionName, url, lineNumber } = callFrame;
    if (functionName === "(idle)" || hitCount === 0) continue;
    busy += hitCount;
    const place = url && `${url.replace(/.*\/node_modules\/|.*\/(?=src\/)/, "")}:${lineNumber + 1}`;
    const name = `${functionName || "(anonymous)"} ${place}`;
    byFunction.set(name, (byFunction.get(name) ?? 0) + hitCount);
    byOwner.set(owner(url), (byOwner.get(owner(url)) ?? 0) + hitCount);
  }
  const top = (counts: Map<string, number>, length: number) =>
    [...counts]
      .toSorted(([, a], [, b]) => b - a)
      .slice(0, length)
      .map(([name, count]) => [`${((count / busy) * 100).toFixed(1)}%`, name]);
  return [
    formatTable(["busy", "package"], top(byOwner, 20)),
    formatTable(["busy", "function"], top(byFunction, functions)),
  ].join("\n\n");
}
