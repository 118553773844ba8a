/**
 * Whoever observes a service in production, as cheap as can be: a scraper of its metrics, a
 * collector of traces and Sentry. They count what they get, so that nothing counts as observed
 * that was not.
 *
 * Run by fork(): tells its port as the first message. Takes `{ scrape: url }`, and from then on
 * reads that every `scrapeSeconds`; takes `{}` and tells its ObserverCounts.
 */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { type ObserverCounts, scrapeSeconds } from "./observer-counts.ts";

const counts: ObserverCounts = {
  scrapes: 0,
  failedScrapes: 0,
  spanBatches: 0,
  sentryRequests: 0,
};

const server = createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    count(request);
    response.writeHead(200, { "content-type": "application/json" }).end("{}");
  });
});
server.keepAliveTimeout = 600_000;
server.listen(0, "127.0.0.1", () => process.send?.((server.address() as AddressInfo).port));

function count({ url = "" }: IncomingMessage): void {
  if (url === "/v1/traces") counts.spanBatches += 1;
  else counts.sentryRequests += 1;
}

async function scrape(url: string): Promise<void> {
  try {
    const response = await fetch(url);
    const text = await response.text();
    if (response.ok && text.includes("\ntribe_ready ")) counts.scrapes += 1;
    else counts.failedScrapes += 1;
  } catch {
    counts.failedScrapes += 1;
  }
}

process.on("message", (message: { scrape?: string }) => {
  const { scrape: url } = message;
  if (url !== undefined) setInterval(() => void scrape(url), scrapeSeconds * 1000);
  process.send?.(counts);
});
process.on("disconnect", () => process.exit());
