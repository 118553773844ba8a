import { randomUUID } from "node:crypto";
import type { Redis } from "./redis/redis.ts";
import type { Logger } from "./telemetry/logger.ts";
import { createOutageLog } from "./telemetry/outage-log.ts";

/** Whoever keeps something in memory that other processes may change. */
export interface ChangeListener {
  /** A subject, for example `key:0198…`, is not as it was. */
  changed(subject: string): void;
  /** Changes may have been missed: nothing in memory is to be believed. */
  missed(): void;
  /** Asks the database for the subjects that were changed in the last milliseconds. */
  poll(sinceMs: number): Promise<string[]>;
}

/** Tells all processes what was changed, in less than a second. */
export interface Changes {
  /** After the commit: tells this process at once and the others through Redis. */
  publish(subjects: readonly string[]): void;
  listen(listener: ChangeListener): void;
  start(): void;
  close(): void;
}

/** What changes are told by. */
export interface ChangesParts {
  /** Undefined: only by asking the database. */
  redis: Redis | undefined;
  logger: Logger;
}

const channel = "tribe:changes";
/** Between two looks at whether our own messages come back to us. */
const beatMs = 200;
/** Messages that stay away for longer are not coming: the database is asked instead. */
const silenceMs = 500;
/** How far back the database is asked: transactions become visible after their time. */
const pollBackMs = 5000;
/** While messages come: in case the one who had one to send died, or cannot reach Redis itself. */
const safetyPollMs = 2000;
/** What could not be sent is tried again; more than this is left to the others' asking. */
const maxUnsent = 10_000;

/** Tells of changes through Redis, and through the database while Redis is away. */
export function createChanges({ redis, logger }: ChangesParts): Changes {
  const listeners: ChangeListener[] = [];
  const ownChannel = `${channel}:${randomUUID()}`;
  let timer: NodeJS.Timeout | undefined;
  let lastBeat = -Infinity;
  let lastPoll = -Infinity;
  let isHearing = false;
  let isPolling = false;
  const unsent = new Set<string>();
  const outage = createOutageLog(logger, {
    level: "warn",
    begins: "the database cannot be asked for changes",
    ends: "the database can be asked for changes again",
  });

  function tell(subject: string) {
    for (const listener of listeners) listener.changed(subject);
  }
  function tick() {
    const now = performance.now();
    void redis?.publish(ownChannel, "").catch(() => undefined);
    if (redis?.isReady()) for (const subject of unsent) void send(subject);
    const hears = redis !== undefined && redis.isReady() && now - lastBeat < silenceMs;
    if (hears !== isHearing) {
      isHearing = hears;
      // What was sent in the meantime was sent to nobody.
      if (hears) for (const listener of listeners) listener.missed();
    }
    if (!hears || now - lastPoll > safetyPollMs) void poll(now);
  }
  async function send(subject: string) {
    unsent.delete(subject);
    try {
      await redis?.publish(channel, subject);
    } catch {
      if (unsent.size < maxUnsent) unsent.add(subject);
    }
  }
  async function poll(now: number) {
    if (isPolling) return;
    isPolling = true;
    // A poll that failed, or came late, is made up for.
    const sinceMs = Math.ceil(Math.min(now - lastPoll, 3_600_000) + pollBackMs);
    try {
      for (const listener of listeners) {
        for (const subject of await listener.poll(sinceMs)) listener.changed(subject);
      }
      lastPoll = now;
      outage.worked();
    } catch (error) {
      outage.failed(error);
    } finally {
      isPolling = false;
    }
  }

  return {
    publish(subjects) {
      for (const subject of subjects) {
        tell(subject);
        void send(subject);
      }
    },
    listen: (listener) => void listeners.push(listener),
    start() {
      if (timer !== undefined) return;
      redis?.subscribe(channel, tell);
      redis?.subscribe(ownChannel, () => (lastBeat = performance.now()));
      lastPoll = performance.now();
      timer = setInterval(tick, beatMs).unref();
    },
    close() {
      clearInterval(timer);
    },
  };
}
