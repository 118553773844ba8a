/** Figures of the process over the last ten seconds. */
import { monitorEventLoopDelay } from "node:perf_hooks";

/** The process and its machine. */
export interface ProcessFigures {
  /** Share of one core used over the last ten seconds; 1 is a whole core. */
  cpuCores: number;
  memoryBytes: number;
  heapBytes: number;
  /** 99th percentile of the event loop's delay, in milliseconds. */
  eventLoopDelayMs: number;
}

export interface ProcessMonitor {
  read(): ProcessFigures;
  stop(): void;
}

const sampleMs = 1000;
const samplesKept = 10;
/** The histogram's own timer; what it measures contains it. */
const resolutionMs = 20;

/** Starts to watch the process. Its timers do not keep the process alive. */
export function createProcessMonitor(): ProcessMonitor {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  const samples = [cpuSample()];
  let ticks = 0;
  let delayBefore = 0;
  const timer = setInterval(() => {
    samples.push(cpuSample());
    if (samples.length > samplesKept) samples.shift();
    ticks += 1;
    if (ticks % samplesKept === 0) {
      delayBefore = delay();
      histogram.reset();
    }
  }, sampleMs).unref();

  function delay(): number {
    if (histogram.count === 0) return 0;
    return Math.max(0, histogram.percentile(99) / 1e6 - resolutionMs);
  }
  return {
    read() {
      const first = samples[0] ?? cpuSample();
      const now = cpuSample();
      const memory = process.memoryUsage();
      return {
        cpuCores: now.at > first.at ? (now.cpuMs - first.cpuMs) / (now.at - first.at) : 0,
        memoryBytes: memory.rss,
        heapBytes: memory.heapUsed,
        eventLoopDelayMs: Math.max(delayBefore, delay()),
      };
    },
    stop() {
      clearInterval(timer);
      histogram.disable();
    },
  };
}

function cpuSample(): { at: number; cpuMs: number } {
  const { user, system } = process.cpuUsage();
  return { at: performance.now(), cpuMs: (user + system) / 1000 };
}
