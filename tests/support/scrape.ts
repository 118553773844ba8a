/** Reads `/metrics` as a scraper does. */

/** What one scrape gave. */
export interface Scrape {
  text: string;
  contentType: string | null;
  /** Names of all series, `_bucket`, `_sum`, `_count` and `_total` included. */
  names: Set<string>;
  /** Sum of the series of this name whose labels contain all of these. */
  value(name: string, labels?: Readonly<Record<string, string>>): number | undefined;
}

/** Scrapes once. */
export async function scrape(url: string, accept = "text/plain"): Promise<Scrape> {
  const response = await fetch(url, { headers: { accept } });
  const text = await response.text();
  const series = text
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"))
    .map((line) => {
      const [, name = "", labels = "", value = ""] =
        /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
      return { name, labels, value: Number(value.replace("Inf", "Infinity")) };
    });
  return {
    text,
    contentType: response.headers.get("content-type"),
    names: new Set(series.map(({ name }) => name)),
    value(name, labels = {}) {
      const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`);
      const found = series.filter(
        (it) => it.name === name && wanted.every((pair) => `,${it.labels},`.includes(`,${pair},`)),
      );
      if (found.length === 0) return undefined;
      return found.reduce((sum, it) => sum + it.value, 0);
    },
  };
}
