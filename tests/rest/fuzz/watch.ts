/** Watches this process for what requests must not do to it. */
import { setTimeout } from "node:timers/promises";

/** What has been seen since. */
export interface WatchedProcess {
  /** Warnings of Node.js, errors that nobody caught, and handles and timers that were not there before and stay. */
  faults(): Promise<string[]>;
}

/** Starts to watch. */
export function watchProcess(): WatchedProcess {
  const before = process.getActiveResourcesInfo();
  const seen: string[] = [];
  const note = (problem: unknown): void => void seen.push(String(problem));
  process.on("warning", note);
  process.on("uncaughtExceptionMonitor", note);
  process.on("unhandledRejection", note);
  return {
    async faults() {
      for (let attempt = 0; attempt < 1_000 && leftSince(before).length > 0; attempt++) {
        await setTimeout(10);
      }
      return [...seen, ...leftSince(before)];
    },
  };
}

function leftSince(before: readonly string[]): string[] {
  const left = process.getActiveResourcesInfo();
  for (const resource of before) {
    const index = left.indexOf(resource);
    if (index !== -1) left.splice(index, 1);
  }
  return left;
}
