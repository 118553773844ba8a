/** What observers.ts tells. */

/** What was observed until now. */
export interface ObserverCounts {
  scrapes: number;
  failedScrapes: number;
  /** Requests of the OTLP exporter, each with a batch of spans. */
  spanBatches: number;
  /** Requests to Sentry: errors and traces. */
  sentryRequests: number;
}

/** From one scrape to the next: a third of Prometheus' own interval. */
export const scrapeSeconds = 5;

/** Whether what is called observed was: without gaps, and by everybody. */
export function wasObserved({ failedScrapes, ...needed }: ObserverCounts): boolean {
  return failedScrapes === 0 && !Object.values(needed).includes(0);
}
