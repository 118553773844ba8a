/** `/metrics` on a port of its own: for the scraper in one's own network, and never for outside. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { gzip } from "node:zlib";
import { chooseFormat, contentTypes, writeMetrics } from "./exposition.ts";
import type { Metrics } from "./metrics.ts";

/** Serves the metrics. */
export interface MetricsServer {
  /** Listens and gives the port; 0 takes a free one. Fails as Node does. */
  listen(host: string, port: number): Promise<number>;
  close(): Promise<void>;
}

const compress = promisify(gzip);

/** Makes the server; nothing listens yet. */
export function createMetricsServer(metrics: Pick<Metrics, "read">): MetricsServer {
  const server = createServer((request, response) => {
    serve(metrics, request, response).catch(() => {
      if (!response.headersSent) response.writeHead(500);
      response.end();
    });
  });
  server.requestTimeout = 10_000;
  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, () => {
          server.off("error", reject);
          resolve((server.address() as AddressInfo).port);
        });
      }),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function serve(
  metrics: Pick<Metrics, "read">,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { method = "", url = "", headers } = request;
  request.resume();
  if (url.split("?", 1)[0] !== "/metrics") {
    refuse(response, 404, "there is only /metrics here");
    return;
  }
  if (method !== "GET" && method !== "HEAD") {
    response.setHeader("allow", "GET, HEAD");
    refuse(response, 405, "metrics are read with GET");
    return;
  }
  const format = chooseFormat(headers.accept);
  const text = Buffer.from(writeMetrics(await metrics.read(), format));
  const isCompressed = /\bgzip\b/.test(String(headers["accept-encoding"] ?? ""));
  const body = isCompressed ? await compress(text) : text;
  response.writeHead(200, {
    "content-type": contentTypes[format],
    "content-length": body.length,
    vary: "accept, accept-encoding",
    ...(isCompressed && { "content-encoding": "gzip" }),
  });
  response.end(method === "HEAD" ? undefined : body);
}

function refuse(response: ServerResponse, status: number, message: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
  response.end(`${message}\n`);
}
