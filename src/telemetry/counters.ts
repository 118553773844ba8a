/** What a counter's value is counted by, for example `{ kind: "spend" }`. Never a user's id. */
export type CounterLabels = Readonly<Record<string, string>>;

/** A number that only grows. */
export interface Counter {
  /** Adds 1. */
  add(labels?: CounterLabels): void;
}

/** What a counter counted under some labels. */
export interface CounterReading {
  readonly name: string;
  readonly help: string;
  readonly labels: CounterLabels;
  readonly value: number;
}

/** The counters of one process. */
export interface Counters {
  /** The counter of a name; the same one each time. */
  counter(name: string, help: string): Counter;
  /** All that was counted since the process began. */
  read(): CounterReading[];
  /** All counters, with those that have counted nothing yet. */
  names(): { name: string; help: string }[];
}

/** Counters in memory. They are few, and their labels have few values. */
export function createCounters(): Counters {
  const readings = new Map<string, Map<string, { labels: CounterLabels; value: number }>>();
  const counters = new Map<string, { help: string; counter: Counter }>();
  return {
    counter(name, help) {
      const known = counters.get(name);
      if (known !== undefined) return known.counter;
      const values = new Map<string, { labels: CounterLabels; value: number }>();
      readings.set(name, values);
      const counter: Counter = {
        add(labels = {}) {
          const key = JSON.stringify(Object.entries(labels).sort());
          const reading = values.get(key);
          if (reading === undefined) values.set(key, { labels, value: 1 });
          else reading.value += 1;
        },
      };
      counters.set(name, { help, counter });
      return counter;
    },
    names: () => Array.from(counters, ([name, { help }]) => ({ name, help })),
    read: () =>
      [...readings].flatMap(([name, values]) =>
        [...values.values()].map((reading) => ({
          name,
          help: counters.get(name)?.help ?? "",
          ...reading,
        })),
      ),
  };
}
