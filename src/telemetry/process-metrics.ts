/**
 * The process and its machine, read at each scrape. Names as Prometheus' own clients have them,
 * and where those have none, as OpenTelemetry's conventions for Node and systems do:
 * https://prometheus.io/docs/instrumenting/writing_clientlibs/#process-metrics
 * https://opentelemetry.io/docs/specs/semconv/runtime/nodejs-metrics/
 * https://opentelemetry.io/docs/specs/semconv/system/system-metrics/
 */
import { readdir, readFile } from "node:fs/promises";
import { totalmem } from "node:os";
import { performance } from "node:perf_hooks";
import type { HostFigures } from "./host.ts";
import type { Metrics } from "./metrics.ts";

/** Where the figures come from. */
export interface ProcessMetricsParts {
  host: () => HostFigures;
  /** 99th percentile of the event loop's delay over the last ten seconds, milliseconds. */
  eventLoopDelayMs: () => number;
}

/** Adds them. */
export function addProcessMetrics(metrics: Metrics, parts: ProcessMetricsParts): void {
  addProcess(metrics);
  addRuntime(metrics, parts.eventLoopDelayMs);
  addHost(metrics, parts.host);
}

function addProcess(metrics: Metrics): void {
  let openFiles: number | undefined;
  let mostOpenFiles: number | undefined;
  metrics.beforeScrape(async () => {
    openFiles = await readdir("/proc/self/fd").then(
      (names) => names.length,
      () => undefined,
    );
    mostOpenFiles ??= await readFile("/proc/self/limits", "utf8").then(
      (text) => Number(/^Max open files\s+(\d+)/m.exec(text)?.[1]) || undefined,
      () => undefined,
    );
  });
  metrics.counterFrom("process_cpu_seconds", "CPU time of the process", [], (report) => {
    const { user, system } = process.cpuUsage();
    report((user + system) / 1e6);
  });
  metrics.gauge("process_resident_memory_bytes", "Memory of the process", [], (report) =>
    report(process.memoryUsage.rss()),
  );
  metrics.gauge(
    "tribe_memory_limit_bytes",
    "Memory that the process may take: its container's, or the machine's",
    [],
    (report) => report(memoryLimit()),
  );
  const startedAt = Date.now() / 1000 - process.uptime();
  metrics.gauge("process_start_time_seconds", "When the process began, Unix time", [], (report) =>
    report(startedAt),
  );
  metrics.gauge("process_open_fds", "Open files and sockets", [], (report) => {
    if (openFiles !== undefined) report(openFiles);
  });
  metrics.gauge("process_max_fds", "The most files and sockets that may be open", [], (report) => {
    if (mostOpenFiles !== undefined) report(mostOpenFiles);
  });
}

/** Bytes. Whoever limits nothing says so with 0 or a number beyond the machine's. */
function memoryLimit(): number {
  return Math.min(process.constrainedMemory() || Infinity, totalmem());
}

function addRuntime(metrics: Metrics, eventLoopDelayMs: () => number): void {
  let before = performance.eventLoopUtilization();
  metrics.gauge(
    "nodejs_eventloop_delay_p99_seconds",
    "99th percentile of the event loop's delay over the last ten seconds",
    [],
    (report) => report(eventLoopDelayMs() / 1000),
  );
  metrics.gauge(
    "nodejs_eventloop_utilization_ratio",
    "Share of the time since the last scrape in which the event loop was busy",
    [],
    (report) => {
      const now = performance.eventLoopUtilization();
      report(performance.eventLoopUtilization(now, before).utilization);
      before = now;
    },
  );
  metrics.gauge("nodejs_heap_size_used_bytes", "Heap in use", [], (report) =>
    report(process.memoryUsage().heapUsed),
  );
  metrics.gauge("nodejs_heap_size_total_bytes", "Heap that V8 has taken", [], (report) =>
    report(process.memoryUsage().heapTotal),
  );
  metrics.gauge("nodejs_external_memory_bytes", "Buffers outside of the heap", [], (report) =>
    report(process.memoryUsage().external),
  );
}

function addHost(metrics: Metrics, host: () => HostFigures): void {
  metrics.gauge("system_cpu_logical_count", "Cores that the process may use", [], (report) =>
    report(host().cores),
  );
  metrics.gauge(
    "system_cpu_load_average_1m",
    "Processes that ran or waited to, on average over one minute",
    [],
    (report) => report(host().load),
  );
  metrics.gauge("system_memory_limit_bytes", "Memory of the machine", [], (report) =>
    report(host().memoryTotalBytes),
  );
  metrics.gauge("system_memory_available_bytes", "Memory left without swapping", [], (report) =>
    report(host().memoryAvailableBytes),
  );
  metrics.gauge("system_filesystem_limit_bytes", "Size of a disk", ["path"], (report) => {
    for (const { path, totalBytes } of host().disks) report(totalBytes, path);
  });
  metrics.gauge("system_filesystem_available_bytes", "Room left on a disk", ["path"], (report) => {
    for (const { path, availableBytes } of host().disks) report(availableBytes, path);
  });
  metrics.counterFrom(
    "system_network_io_bytes",
    "Bytes that went over a network interface of the machine",
    ["network_interface_name", "network_io_direction"],
    (report) => {
      for (const { name, receivedBytes, sentBytes } of host().network) {
        report(receivedBytes, name, "receive");
        report(sentBytes, name, "transmit");
      }
    },
  );
}
