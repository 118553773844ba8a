/**
 * What the process measures. Whoever measures on the way of a call asks once for the handle of
 * its labels and keeps it: counting is then an addition, observing a short search, and neither
 * makes an object.
 */
import { type Counters, createCounters } from "./counters.ts";

/** A number that only grows, under fixed labels. */
export interface CounterHandle {
  /** Default: 1. */
  add(amount?: number): void;
}

/** A distribution under fixed labels. */
export interface HistogramHandle {
  observe(value: number): void;
}

/** A metric with labels. */
export interface Family<Handle> {
  /**
   * The handle of these label values, one for each label name; the same one each time. When a
   * family has become too large, all further values share the handle of `_OTHER`.
   */
  with(...values: string[]): Handle;
}

/** Tells a gauge's value under some label values. */
export type Report = (value: number, ...labelValues: string[]) => void;

/** A value of a metric at the moment of a scrape. */
export interface Sample {
  /** After the metric's name: nothing, `_total`, `_bucket`, `_sum` or `_count`. */
  readonly suffix: string;
  /** As the text formats write them, without braces; empty when there are none. */
  readonly labels: string;
  readonly value: number;
}

/** A metric at the moment of a scrape. */
export interface MetricReading {
  /** Without `_total`. */
  readonly name: string;
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly samples: readonly Sample[];
}

/** The metrics of one process. Names are those of Prometheus, those of counters without `_total`. */
export interface Metrics {
  /** Counters that find their labels at each count: for what happens seldom. */
  readonly counters: Counters;
  counter(name: string, help: string, labelNames?: readonly string[]): Family<CounterHandle>;
  /** `bounds`: the upper bounds of the buckets, ascending; the last bucket has none. */
  histogram(
    name: string,
    help: string,
    labelNames: readonly string[],
    bounds: readonly number[],
  ): Family<HistogramHandle>;
  /** A value that goes up and down, read at each scrape. */
  gauge(
    name: string,
    help: string,
    labelNames: readonly string[],
    read: (report: Report) => void,
  ): void;
  /** A value that only grows and is counted elsewhere, read at each scrape. */
  counterFrom(
    name: string,
    help: string,
    labelNames: readonly string[],
    read: (report: Report) => void,
  ): void;
  /** Is waited for before each scrape. Must not reject, and must not take long. */
  beforeScrape(prepare: () => Promise<void>): void;
  /** Everything that was measured until now. */
  read(): Promise<MetricReading[]>;
}

/** The most label combinations of one family: a mistake must not fill the memory. */
const mostHandles = 2_000;
const other = "_OTHER";

/** What came before any labels of a family. */
interface Source {
  readonly name: string;
  readonly type: MetricReading["type"];
  readonly help: string;
  samples(): Sample[];
}

/** Metrics in memory. */
export function createMetrics(): Metrics {
  const counters = createCounters();
  const sources = new Map<string, Source>();
  const preparations: (() => Promise<void>)[] = [];

  function add(source: Source): void {
    if (sources.has(source.name)) throw new TypeError(`there are two metrics ${source.name}`);
    sources.set(source.name, source);
  }
  function readAtScrape(
    type: "gauge" | "counter",
    name: string,
    help: string,
    labelNames: readonly string[],
    read: (report: Report) => void,
  ): void {
    const suffix = type === "counter" ? "_total" : "";
    const samples = () => {
      const found: Sample[] = [];
      read((value, ...values) =>
        found.push({ suffix, labels: labelText(labelNames, values), value }),
      );
      return found;
    };
    add({ name, type, help, samples });
  }

  return {
    counters,
    counter(name, help, labelNames = []) {
      const { family, handles } = createFamily(labelNames, createCount);
      add({ name, type: "counter", help, samples: () => samplesOf(handles) });
      return family;
    },
    histogram(name, help, labelNames, bounds) {
      const texts = bounds.map(boundText);
      const { family, handles } = createFamily(labelNames, (labels) =>
        createDistribution(labels, bounds, texts),
      );
      add({ name, type: "histogram", help, samples: () => samplesOf(handles) });
      return family;
    },
    gauge: (...parts) => readAtScrape("gauge", ...parts),
    counterFrom: (...parts) => readAtScrape("counter", ...parts),
    beforeScrape: (prepare) => void preparations.push(prepare),
    async read() {
      await Promise.all(preparations.map((prepare) => prepare()));
      const readings = Array.from(sources.values(), (source) => ({
        ...source,
        samples: source.samples(),
      }));
      return [...readings, ...seldomCounted(counters)];
    },
  };
}

interface Measured {
  samples(): Sample[];
}

function samplesOf(handles: ReadonlyMap<string, Measured>): Sample[] {
  return Array.from(handles.values()).flatMap((handle) => handle.samples());
}

function createFamily<Handle extends Measured>(
  labelNames: readonly string[],
  create: (labels: string) => Handle,
) {
  const handles = new Map<string, Handle>();
  function find(values: readonly string[]): Handle {
    const labels = labelText(labelNames, values);
    let handle = handles.get(labels);
    if (handle === undefined) {
      handle = create(labels);
      handles.set(labels, handle);
    }
    return handle;
  }
  const family: Family<Handle> = {
    with(...values) {
      const known = handles.get(labelText(labelNames, values));
      if (known !== undefined) return known;
      return find(handles.size < mostHandles ? values : labelNames.map(() => other));
    },
  };
  return { family, handles };
}

function createCount(labels: string): CounterHandle & Measured {
  let value = 0;
  return {
    add(amount = 1) {
      value += amount;
    },
    samples: () => [{ suffix: "_total", labels, value }],
  };
}

function createDistribution(
  labels: string,
  bounds: readonly number[],
  texts: readonly string[],
): HistogramHandle & Measured {
  const counts = new Float64Array(bounds.length + 1);
  const limits = Float64Array.from(bounds);
  const before = labels === "" ? "" : `${labels},`;
  let sum = 0;
  return {
    observe(value) {
      let bucket = 0;
      while (bucket < limits.length && value > limits[bucket]!) bucket += 1;
      counts[bucket]! += 1;
      sum += value;
    },
    samples() {
      let count = 0;
      const buckets = Array.from(counts, (inBucket, index) => {
        count += inBucket;
        const bound = texts[index] ?? "+Inf";
        return { suffix: "_bucket", labels: `${before}le="${bound}"`, value: count };
      });
      return [
        ...buckets,
        { suffix: "_sum", labels, value: sum },
        { suffix: "_count", labels, value: count },
      ];
    },
  };
}

function seldomCounted(counters: Counters): MetricReading[] {
  const found = new Map<string, MetricReading & { samples: Sample[] }>();
  for (const { name, help } of counters.names()) {
    found.set(name, { name, type: "counter", help, samples: [] });
  }
  for (const { name, labels, value } of counters.read()) {
    const text = labelText(Object.keys(labels), Object.values(labels));
    found.get(name)?.samples.push({ suffix: "_total", labels: text, value });
  }
  return [...found.values()];
}

const escapes: Record<string, string> = { "\\": "\\\\", '"': '\\"', "\n": "\\n" };

function labelText(names: readonly string[], values: readonly string[]): string {
  let text = "";
  for (let index = 0; index < names.length; index += 1) {
    const value = (values[index] ?? "").replace(/[\\"\n]/g, (character) => escapes[character]!);
    text += `${index === 0 ? "" : ","}${names[index]}="${value}"`;
  }
  return text;
}

/** OpenMetrics wants bounds as floating-point numbers, `1.0` and `1e+06`. */
function boundText(bound: number): string {
  if (bound >= 1e6) return bound.toExponential().replace(/e\+(\d)$/, "e+0$1");
  return Number.isInteger(bound) ? `${bound}.0` : String(bound);
}
