/** What the measurements come to: medians over the rounds, and ratios to Portkey. */
import type { Latency } from "./load-job.ts";
import type { Measurement } from "./measure.ts";
import type { Scenario, ScenarioPlan } from "./scenarios.ts";
import { formatTable } from "./table.ts";

/** Everyone is compared with this one. */
const reference = "portkey";

/** The middle one; of an even number, the mean of the middle two. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  const [low = Number.NaN, high = low] = [Math.ceil(middle) - 1, Math.floor(middle)].map(
    (index) => sorted[index],
  );
  return (low + high) / 2;
}

/** What the others are asked where there is no gRPC: the same question over REST. */
function counterpart(scenario: Scenario): Scenario {
  return scenario === "grpc" ? "rest" : scenario;
}

/** Pairs each measurement with that of another subject in the same round, under the same load. */
export function pairs(
  all: readonly Measurement[],
  own: readonly Measurement[],
  other: string,
  scenarioOf: (scenario: Scenario) => Scenario = counterpart,
) {
  return own.flatMap((measurement) => {
    const partner = all.find(
      (candidate) =>
        candidate.subject === other &&
        candidate.round === measurement.round &&
        candidate.scenario === scenarioOf(measurement.scenario) &&
        JSON.stringify(candidate.shape) === JSON.stringify(measurement.shape),
    );
    return partner ? [{ measurement, partner }] : [];
  });
}

interface Row {
  subject: string;
  shape: string;
  turnsPerSecond: number;
  cpuPerTurn: number | undefined;
  cpuRatio: number | undefined;
  databasesPerTurn: number;
  serviceCoreBusy: number;
  otherCoreBusy: number;
  /** Latency above the provider's own in the same round, milliseconds. */
  added: Latency | undefined;
  /** Streams: the same to the first piece of text. */
  addedFirstText: Latency | undefined;
  residentMegabytes: number | undefined;
  failures: number;
}

export interface ScenarioReport {
  scenario: Scenario;
  title: string;
  rows: Row[];
}

/** Sums up each scenario, its subjects and its loads. */
export function summarise(plans: ScenarioPlan[], all: readonly Measurement[]): ScenarioReport[] {
  return plans.map(({ scenario, title, closed, open }) => ({
    scenario,
    title,
    rows: [closed, ...open].flatMap((shape) => {
      const key = JSON.stringify(shape);
      const mine = all.filter(
        (measurement) =>
          measurement.scenario === scenario && JSON.stringify(measurement.shape) === key,
      );
      const subjects = [...new Set(mine.map(({ subject }) => subject))].toSorted();
      return subjects.map((subject) =>
        row(
          all,
          mine.filter((measurement) => measurement.subject === subject),
        ),
      );
    }),
  }));
}

function row(all: readonly Measurement[], own: readonly Measurement[]): Row {
  const [first] = own as [Measurement];
  const shape =
    "rate" in first.shape ? `${first.shape.rate} a second` : `${first.shape.concurrency} at a time`;
  const isService = first.cpuPerTurn !== undefined;
  const byProvider = isService ? pairs(all, own, "provider") : [];
  const ratios = pairs(all, own, reference).flatMap(({ measurement, partner }) =>
    measurement.cpuPerTurn && partner.cpuPerTurn ? measurement.cpuPerTurn / partner.cpuPerTurn : [],
  );
  const added = (which: "latency" | "firstText"): Latency | undefined => {
    const differences = byProvider.flatMap(({ measurement, partner }) => {
      const [mine, its] = [measurement[which], partner[which]];
      return mine && its ? [{ p50: mine.p50 - its.p50, p99: mine.p99 - its.p99 }] : [];
    });
    if (differences.length === 0) return undefined;
    return {
      p50: median(differences.map(({ p50 }) => p50)),
      p99: median(differences.map(({ p99 }) => p99)),
    };
  };
  const medianOf = (value: (measurement: Measurement) => number) => median(own.map(value));
  return {
    subject: first.subject,
    shape,
    turnsPerSecond: medianOf(({ turns, seconds }) => turns / seconds),
    cpuPerTurn: isService ? medianOf(({ cpuPerTurn = Number.NaN }) => cpuPerTurn) : undefined,
    cpuRatio: ratios.length > 0 ? median(ratios) : undefined,
    databasesPerTurn: medianOf(({ databasesPerTurn }) => databasesPerTurn),
    serviceCoreBusy: medianOf(({ serviceCoreBusy }) => serviceCoreBusy),
    otherCoreBusy: medianOf(({ otherCoreBusy }) => otherCoreBusy),
    added: added("latency"),
    addedFirstText: added("firstText"),
    residentMegabytes: own.at(-1)?.residentMegabytes,
    failures: own.reduce((sum, { failures }) => sum + failures, 0),
  };
}

const fixed = (digits: number, value: number | undefined) =>
  value === undefined ? "" : value.toFixed(digits);
const percent = (share: number) => `${(share * 100).toFixed(0)}%`;
const latency = (value: Latency | undefined) =>
  value ? `${value.p50.toFixed(1)} / ${value.p99.toFixed(1)}` : "";

/** The report as text. */
export function formatReport(reports: readonly ScenarioReport[]): string {
  return reports
    .map(({ title, rows }) => {
      const cells = rows.map((row) => [
        row.subject,
        row.shape,
        fixed(0, row.cpuPerTurn),
        fixed(2, row.cpuRatio),
        fixed(0, row.turnsPerSecond),
        latency(row.added),
        latency(row.addedFirstText),
        row.subject.startsWith("tribe") ? fixed(0, row.databasesPerTurn) : "",
        `${percent(row.serviceCoreBusy)} / ${percent(row.otherCoreBusy)}`,
        fixed(0, row.residentMegabytes),
        row.failures > 0 ? String(row.failures) : "",
      ]);
      return `${title}\n${formatTable(headings, cells)}`;
    })
    .join("\n\n");
}

const headings = [
  "",
  "load",
  "CPU µs/turn",
  "to Portkey",
  "turns/s",
  "added ms p50/p99",
  "to first text",
  "databases µs/turn",
  "cores busy",
  "RSS MB",
  "failed",
];
