/** What observing a service costs: the same service with and without, in the same rounds. */
import type { Measurement } from "./measure.ts";
import { type ObserverCounts, scrapeSeconds, wasObserved } from "./observer-counts.ts";
import { median, pairs } from "./report.ts";
import type { Scenario, ScenarioPlan } from "./scenarios.ts";
import { formatTable } from "./table.ts";

const observed = "tribe-observed";

/** Medians of each round's own ratio, in the closed loop. */
export interface ObservedRatio {
  scenario: Scenario;
  title: string;
  /** With whom it is compared. */
  other: string;
  /** CPU of a turn; above 1: observing costs. */
  cpu: number;
  /** What a core can do, by that CPU: its inverse. Below 0.9 it costs too much. */
  throughputPerCore: number;
  /** Turns a second that were reached; other cores limit them, too. */
  throughput: number;
}

/** Compares the observed service with each that is not. */
export function compareObserved(
  plans: readonly ScenarioPlan[],
  all: readonly Measurement[],
): ObservedRatio[] {
  return plans.flatMap(({ scenario, title, closed }) => {
    const key = JSON.stringify(closed);
    const same = all.filter((it) => it.scenario === scenario && JSON.stringify(it.shape) === key);
    const own = same.filter(({ subject }) => subject === observed);
    return ["tribe-quiet", "tribe-silent"].flatMap((other) => {
      const both = pairs(same, own, other, () => scenario);
      if (both.length === 0) return [];
      const ratio = (value: (measurement: Measurement) => number) =>
        median(both.map(({ measurement, partner }) => value(measurement) / value(partner)));
      const cpu = ratio(({ cpuPerTurn = Number.NaN }) => cpuPerTurn);
      const throughput = ratio(({ turns, seconds }) => turns / seconds);
      return [{ scenario, title, other, cpu, throughputPerCore: 1 / cpu, throughput }];
    });
  });
}

/** As text. */
export function formatObserved(ratios: readonly ObservedRatio[], counts: ObserverCounts): string {
  const cells = ratios.map((it) => [
    it.title,
    it.other,
    it.cpu.toFixed(3),
    it.throughputPerCore.toFixed(3),
    it.throughput.toFixed(3),
  ]);
  const warning = wasObserved(counts)
    ? ""
    : "\nIT WAS NOT OBSERVED AS IT SHOULD: the figures say nothing.";
  const { scrapes, failedScrapes, spanBatches, sentryRequests } = counts;
  return [
    "What observing costs: tribe-observed to those that are not, medians of the rounds' ratios",
    formatTable(["", "to", "CPU/turn", "turns/s of a core", "turns/s reached"], cells),
    `It was scraped ${scrapes} times, every ${scrapeSeconds} s (${failedScrapes} failed), sent ` +
      `${spanBatches} batches of spans, and ${sentryRequests} requests to Sentry.${warning}`,
  ].join("\n");
}
