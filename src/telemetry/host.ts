/** The machine: memory, load, disks and network. Read on a beat, served from memory. */
import { readFile, statfs } from "node:fs/promises";
import { availableParallelism, freemem, loadavg, totalmem } from "node:os";

/** A file system that something of ours lies on. */
export interface DiskFigures {
  /** The folder that it was asked for. */
  readonly path: string;
  readonly totalBytes: number;
  /** What the process may still write. */
  readonly availableBytes: number;
}

/** A network interface since the machine started. */
export interface NetworkFigures {
  readonly name: string;
  readonly receivedBytes: number;
  readonly sentBytes: number;
}

/** The machine, a few seconds ago at most. */
export interface HostFigures {
  /** Cores that the process may use. */
  readonly cores: number;
  /** Processes that ran or waited to, on average over one minute. */
  readonly load: number;
  readonly memoryTotalBytes: number;
  /** What could be had without swapping. */
  readonly memoryAvailableBytes: number;
  readonly disks: readonly DiskFigures[];
  /** Without the loopback and what containers bring and take; empty where there is no /proc. */
  readonly network: readonly NetworkFigures[];
}

/** Watches the machine. */
export interface HostMonitor {
  read(): HostFigures;
  /** Looks for the first time, then on a beat that does not keep the process alive. */
  start(): Promise<void>;
  stop(): void;
}

const beatMs = 5_000;

/** The machine's ends of containers: each start of one brings new names, without end. */
const passingInterface = /^(?:lo$|veth|br-|docker|virbr|cni|cali|flannel|ifb)/;

/** `paths`: folders whose disks matter. */
export function createHostMonitor(paths: readonly string[]): HostMonitor {
  const folders = [...new Set(paths)];
  let disks: DiskFigures[] = [];
  let network: NetworkFigures[] = [];
  let memoryAvailableBytes = freemem();
  let timer: NodeJS.Timeout | undefined;
  let looking = false;

  async function look(): Promise<void> {
    // A disk of the network may hang.
    if (looking) return;
    looking = true;
    try {
      disks = (await Promise.all(folders.map(readDisk))).filter((disk) => disk !== undefined);
      network = parseNetwork(await readOrNothing("/proc/net/dev"));
      memoryAvailableBytes = parseAvailable(await readOrNothing("/proc/meminfo")) ?? freemem();
    } finally {
      looking = false;
    }
  }
  return {
    read: () => ({
      cores: availableParallelism(),
      load: loadavg()[0] ?? 0,
      memoryTotalBytes: totalmem(),
      memoryAvailableBytes,
      disks,
      network,
    }),
    async start() {
      timer ??= setInterval(() => void look(), beatMs).unref();
      await look();
    },
    stop() {
      clearInterval(timer);
      timer = undefined;
    },
  };
}

async function readDisk(path: string): Promise<DiskFigures | undefined> {
  try {
    const { bsize, blocks, bavail } = await statfs(path);
    return { path, totalBytes: bsize * blocks, availableBytes: bsize * bavail };
  } catch {
    // A folder that does not exist takes no room.
    return undefined;
  }
}

function readOrNothing(path: string): Promise<string> {
  return readFile(path, "utf8").catch(() => "");
}

/** https://man7.org/linux/man-pages/man5/proc_net.5.html: received bytes first, sent bytes ninth. */
export function parseNetwork(text: string): NetworkFigures[] {
  return text.split("\n").flatMap((line) => {
    const [, name, rest] = /^\s*([^:\s]+):\s*(.*)$/.exec(line) ?? [];
    if (name === undefined || rest === undefined) return [];
    if (passingInterface.test(name)) return [];
    const numbers = rest.trim().split(/\s+/).map(Number);
    return [{ name, receivedBytes: numbers[0] ?? 0, sentBytes: numbers[8] ?? 0 }];
  });
}

function parseAvailable(text: string): number | undefined {
  const kibibytes = /^MemAvailable:\s+(\d+) kB$/m.exec(text)?.[1];
  return kibibytes === undefined ? undefined : Number(kibibytes) * 1024;
}
