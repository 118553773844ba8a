/**
 * How many different users called of late, in all processes together, without anybody's id in a
 * metric: a HyperLogLog counts to within 1 % and cannot be asked who was counted.
 * https://redis.io/docs/latest/develop/data-types/probabilistic/hyperloglogs/
 *
 * A window is made of slices, each a HyperLogLog of its own, so that it slides: it is the slice
 * that has begun and as many whole ones before it as the window is long.
 */
import type { Redis } from "../redis/redis.ts";

/** Users by window, for example `5m`. */
export type ActiveUsers = ReadonlyMap<string, number>;

/** Counts users beside their calls. */
export interface ActiveUserCounter {
  /** A user has called. Only remembers it. */
  note(userId: string): void;
  /** As last counted; empty while that is not known. */
  read(): ActiveUsers;
  /** Counts again, unless that was done a moment ago. Waits a moment at most; never rejects. */
  refresh(): Promise<void>;
  /** Begins to tell Redis, on a beat that does not keep the process alive. */
  start(): void;
  /** Tells Redis what is left. */
  close(): Promise<void>;
}

interface Window {
  readonly name: string;
  readonly sliceSeconds: number;
  readonly slices: number;
}

const windows: readonly Window[] = [
  { name: "5m", sliceSeconds: 60, slices: 5 },
  { name: "1h", sliceSeconds: 300, slices: 12 },
  { name: "1d", sliceSeconds: 3600, slices: 24 },
];

const flushMs = 5_000;
const countedForMs = 10_000;
/** More users than that between two beats are told as far as the room goes. */
const mostNoted = 20_000;

/** Counts in Redis. */
export function createActiveUsers(redis: Redis): ActiveUserCounter {
  let noted = new Set<string>();
  let counts: ActiveUsers = new Map();
  let countedAt = -Infinity;
  let counting: Promise<void> | undefined;
  let timer: NodeJS.Timeout | undefined;

  async function flush(): Promise<void> {
    if (noted.size === 0 || !redis.isReady()) return;
    const userIds = [...noted];
    noted = new Set();
    try {
      await Promise.all(
        windows.map(async (window) => {
          const key = keyOf(window, sliceNow(window));
          await redis.command(key, ["PFADD", key, ...userIds]);
          const lifetime = window.sliceSeconds * (window.slices + 2);
          await redis.command(key, ["EXPIRE", key, String(lifetime)]);
        }),
      );
    } catch {
      // Counting twice counts once: they are told again with the next beat.
      for (const userId of userIds) note(userId);
    }
  }
  function note(userId: string): void {
    if (noted.size < mostNoted) noted.add(userId);
  }
  async function count(): Promise<void> {
    try {
      await flush();
      const entries = await Promise.all(
        windows.map(async (window) => {
          const now = sliceNow(window);
          const keys = Array.from({ length: window.slices + 1 }, (_, age) =>
            keyOf(window, now - age),
          );
          const users = await redis.command<number>(keys[0]!, ["PFCOUNT", ...keys]);
          return [window.name, Number(users)] as const;
        }),
      );
      counts = new Map(entries);
    } catch {
      counts = new Map();
    }
    countedAt = performance.now();
    counting = undefined;
  }

  return {
    note,
    read: () => counts,
    async refresh() {
      if (performance.now() - countedAt < countedForMs) return;
      await (counting ??= count());
    },
    start() {
      timer ??= setInterval(() => void flush(), flushMs).unref();
    },
    async close() {
      clearInterval(timer);
      await flush();
    },
  };
}

function sliceNow({ sliceSeconds }: Window): number {
  return Math.floor(Date.now() / 1000 / sliceSeconds);
}

/** One hash tag: in a cluster, all slices of a window are counted together. */
function keyOf({ name }: Window, slice: number): string {
  return `tribe:{active-users:${name}}:${slice}`;
}
