/** What a dashboard is made of, and the PromQL that its graphs share. */

/** A graph: its title, its unit as Grafana names units, and its PromQL with their legends. */
export interface Graph {
  title: string;
  unit: string;
  description: string;
  /** What is shown while there is nothing to show; else "No data". */
  none?: string;
  queries: Readonly<Record<string, string>>;
}

/** Graphs that are seen together; `uid` is the end of its address. */
export interface Dashboard {
  uid: string;
  title: string;
  graphs: readonly Graph[];
}

/** Matches the instances that are chosen above the dashboard. */
export const instance = `instance=~"$instance"`;

/** How often a counter counts, a second, for each value of the labels `by`. */
export function rate(metric: string, by: string, matchers = ""): string {
  return `sum by (${by}) (rate(${metric}{${instance}${matchers && `,${matchers}`}}[$__rate_interval]))`;
}

/** What a part `q` of the values of a histogram is at most. */
export function quantile(q: number, metric: string, by: string, matchers = ""): string {
  // Not even a number while there was nothing to measure: no line then.
  return `histogram_quantile(${q}, ${rate(`${metric}_bucket`, `le, ${by}`, matchers)}) >= 0`;
}

/** A gauge of all instances, aggregated, for example by `max by (replica)`. */
export function gauge(metric: string, aggregation: string): string {
  return `${aggregation} (${metric}{${instance}})`;
}
