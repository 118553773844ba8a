/** Tribe, more or less observed, to see what observing costs. */
import type { ChildProcess } from "node:child_process";
import type { Databases } from "./databases.ts";
import { ask, freePort, startWorker } from "./processes.ts";
import type { ObserverCounts } from "./observer-counts.ts";
import type { Subject } from "./subject.ts";
import { startTribe, type TribeOptions } from "./tribe.ts";

/**
 * `tribe`: as it starts by itself. `tribe-observed`: metrics that are scraped, a hundredth of the
 * calls traced to a collector and to Sentry, errors to Sentry. `tribe-quiet`: none of these.
 * `tribe-silent`: no log either.
 */
export const tribeNames = ["tribe", "tribe-observed", "tribe-quiet", "tribe-silent"] as const;
export type TribeName = (typeof tribeNames)[number];

type Start = (environment: Record<string, string>) => Promise<Subject>;

const quiet = { METRICS_PORT: "off" };

/** What all of them have. */
export interface SharedOptions extends Omit<TribeOptions, "name" | "environment" | "databases"> {
  databases: Databases;
}

/** What it takes to start any of them. */
export interface Tribes {
  start(name: TribeName): Promise<Subject>;
  /** What the observers got; undefined: nobody is observed. */
  observed(): Promise<ObserverCounts | undefined>;
}

/** Each gets a database of its own: what they do in the background is not shared. */
export function createTribes(shared: SharedOptions): Tribes {
  let observers: ChildProcess | undefined;

  async function startObserved(start: Start): Promise<Subject> {
    observers = startWorker("./observers.ts");
    const port = await ask<number>(observers);
    const metricsPort = await freePort();
    const subject = await start({
      METRICS_PORT: String(metricsPort),
      OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
      OTEL_TRACES_SAMPLER_ARG: "0.01",
      SENTRY_DSN: `http://bench@127.0.0.1:${port}/1`,
      SENTRY_TRACES: "on",
    });
    await ask(observers, { scrape: `http://127.0.0.1:${metricsPort}/metrics` });
    return subject;
  }
  return {
    async start(name) {
      const databases = await shared.databases.another();
      const start: Start = (environment) => startTribe({ ...shared, databases, name, environment });
      if (name === "tribe") return start({ METRICS_PORT: "0" });
      if (name === "tribe-observed") return startObserved(start);
      return start(name === "tribe-quiet" ? quiet : { ...quiet, LOG_LEVEL: "silent" });
    },
    async observed() {
      return observers && ask<ObserverCounts>(observers, {});
    },
  };
}
