import { ErrorReply } from "redis";
import type { RedisAddress } from "../config.ts";
import { unavailable } from "../errors.ts";
import { currentSpan, errorTypeOf, type Span, withSpan } from "../telemetry/span.ts";
import { createConnection, reconnectDelayMs } from "./connection.ts";

/** Redis, as the stores that are built on it see it. Its absence is UNAVAILABLE `REDIS_UNAVAILABLE`. */
export interface Redis {
  /**
   * Sends one command, for example `command("k", ["SET", "k", "v"])`, and gives the answer as
   * RESP3 has it. `key` is the command's first key: in a cluster it names the node. At once
   * UNAVAILABLE while there is no connection; an error that Redis answers is thrown as it is.
   */
  command<Reply = unknown>(key: string, args: string[]): Promise<Reply>;
  /**
   * Like `command`, without a timer: for callers on the hot path that keep their own time. What
   * the client fails with is thrown as it is.
   */
  submit<Reply = unknown>(key: string, args: string[]): Promise<Reply>;
  /**
   * Gives the messages of a channel from as soon as there is a connection. What is sent while
   * there is none is missed: whoever must know sends itself messages, and sees them stay away.
   */
  subscribe(channel: string, onMessage: (message: string) => void): void;
  /** Sends a message to all who subscribe to the channel now. */
  publish(channel: string, message: string): Promise<void>;
  /** Resolves when Redis answers within `timeoutMs` (default 1,000). */
  ping(timeoutMs?: number): Promise<void>;
  /** Whether there is a connection. */
  isReady(): boolean;
  /** What was sent since the start, and what waits for its answer now. */
  traffic(): Readonly<RedisTraffic>;
  /** Waits for commands under way and closes all connections. */
  close(): Promise<void>;
}

/** Commands since the start. */
export interface RedisTraffic {
  sent: number;
  /** Those of `command`, `publish` and `ping` that have no answer yet. */
  underWay: number;
  /** Those that got none: no connection, too late, too many. Errors that Redis answers are answers. */
  failed: number;
}

export interface RedisOptions {
  address: RedisAddress;
  /** How long a command may take, in milliseconds. Default 1,000. */
  commandTimeoutMs?: number;
  /**
   * The most commands that wait for an answer; a further one fails at once. Default 10,000;
   * connecting alone takes a handful.
   */
  maxCommandsUnderWay?: number;
  /** Told when the connection is lost or cannot be made; the same failure is told once. */
  warn?: (message: string) => void;
}

/**
 * Connects in the background, and again whenever the connection is lost, so an absent
 * server does not fail here.
 */
export function createRedis(options: RedisOptions): Redis {
  const { address, commandTimeoutMs = 1000, maxCommandsUnderWay = 10_000 } = options;
  const state = { isClosed: false, lastWarning: "" };
  const traffic: RedisTraffic = { sent: 0, underWay: 0, failed: 0 };
  const connection = createConnection({ address, maxCommandsUnderWay, onError: warnOnce });
  void keepConnecting();

  function warnOnce(error: unknown) {
    // An AggregateError (several addresses of one name) has no message of its own.
    const { message, code = "" } = error as NodeJS.ErrnoException;
    const warning = `Redis: ${message || code}`;
    if (state.isClosed || warning === state.lastWarning) return;
    state.lastWarning = warning;
    options.warn?.(warning);
  }

  /** A cluster and sentinels give up when they find nobody; a single server's client does not. */
  async function keepConnecting() {
    for (let failures = 0; !state.isClosed; failures += 1) {
      try {
        await connection.connect();
        return;
      } catch (error) {
        warnOnce(error);
      }
      await new Promise((resolve) => setTimeout(resolve, reconnectDelayMs(failures)).unref());
    }
  }

  /** Once subscribed, the client subscribes again by itself whenever it connects anew. */
  async function keepSubscribing(channel: string, onMessage: (message: string) => void) {
    for (let failures = 0; !state.isClosed; failures += 1) {
      try {
        if (connection.isReady()) return await connection.subscribe(channel, onMessage);
      } catch (error) {
        warnOnce(error);
      }
      await new Promise((resolve) => setTimeout(resolve, reconnectDelayMs(failures)).unref());
    }
  }

  /** Has its own timer: the client's ends with the sending, so a server that hangs would not meet it. */
  async function send(key: string | undefined, args: string[], timeoutMs: number) {
    traffic.sent += 1;
    if (state.isClosed || !connection.isReady()) {
      traffic.failed += 1;
      throw redisUnavailable();
    }
    traffic.underWay += 1;
    try {
      const reply = await withTimeout(connection.send(key, args), timeoutMs);
      state.lastWarning = "";
      return reply;
    } catch (error) {
      if (error instanceof ErrorReply) throw error;
      traffic.failed += 1;
      throw redisUnavailable(error);
    } finally {
      traffic.underWay -= 1;
    }
  }

  return {
    command<Reply>(key: string, args: string[]) {
      const span = currentSpan();
      const work = () => send(key, args, commandTimeoutMs) as Promise<Reply>;
      return span === undefined ? work() : traced(span, args, work);
    },
    submit<Reply>(key: string, args: string[]) {
      traffic.sent += 1;
      if (state.isClosed || !connection.isReady()) {
        traffic.failed += 1;
        return Promise.reject(redisUnavailable());
      }
      const span = currentSpan();
      if (span === undefined) return connection.send(key, args) as Promise<Reply>;
      return traced(span, args, () => connection.send(key, args) as Promise<Reply>);
    },
    subscribe: (channel, onMessage) => void keepSubscribing(channel, onMessage),
    async publish(channel, message) {
      // Not a key: in a cluster any node passes a message on to all others.
      await send(undefined, ["PUBLISH", channel, message], commandTimeoutMs);
    },
    async ping(timeoutMs = 1000) {
      await send(undefined, ["PING"], timeoutMs);
    },
    isReady: () => !state.isClosed && connection.isReady(),
    traffic: () => traffic,
    async close() {
      if (state.isClosed) return;
      state.isClosed = true;
      const late = setTimeout(connection.destroy, commandTimeoutMs);
      if (connection.isReady()) await connection.close().catch(connection.destroy);
      else connection.destroy();
      clearTimeout(late);
    },
  };
}

function withTimeout(answer: Promise<unknown>, timeoutMs: number): Promise<unknown> {
  return new Promise((resolve, reject) => {
    // Made only when it is late: an error with its stack costs more than a command.
    const giveUp = () => reject(new Error(`no answer within ${timeoutMs} ms`));
    const timer = setTimeout(giveUp, timeoutMs);
    answer.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

/**
 * Of a command only its name is told, of an error that Redis answers its first word: keys name
 * users, and values are what they say.
 */
async function traced<Reply>(
  parent: Span,
  [command = ""]: string[],
  work: () => Promise<Reply>,
): Promise<Reply> {
  const attributes = { "db.system.name": "redis", "db.operation.name": command };
  const span = parent.child(`redis ${command}`, "client", attributes);
  try {
    const reply = await withSpan(span, work);
    span.end();
    return reply;
  } catch (error) {
    const word = error instanceof ErrorReply ? /^[A-Z]+/.exec(error.message)?.[0] : undefined;
    span.set({ "db.response.status_code": word });
    // A script that Redis does not know yet is sent to it whole: nothing has failed.
    span.end(word === "NOSCRIPT" ? undefined : (word ?? errorTypeOf(error)));
    throw error;
  }
}

function redisUnavailable(cause?: unknown) {
  return unavailable("REDIS_UNAVAILABLE", "Redis does not answer", cause);
}
