/** The one logger: JSON lines on standard output, pretty on a terminal. */
import { type DestinationStream, type Logger, pino } from "pino";
import { PinoPretty } from "pino-pretty";

export type { Logger };

export interface LoggerOptions {
  /** `fatal`, `error`, `warn`, `info`, `debug`, `trace` or `silent`. */
  level?: string;
  /** Human-readable instead of JSON. Default: whether standard output is a terminal. */
  pretty?: boolean;
  /** Where lines go instead of standard output. */
  destination?: DestinationStream;
}

/** Keys whose values never reach a log, at the top and one and two levels below. */
const secretKeys = [
  "authorization",
  "Authorization",
  '["x-api-key"]',
  "apiKey",
  "api_key",
  "cookie",
  '["set-cookie"]',
  "password",
  "secret",
  "token",
  "accessToken",
  "refreshToken",
  "clientSecret",
];

function underAny(key: string): string[] {
  const dotted = key.startsWith("[") ? key : `.${key}`;
  return [key, `*${dotted}`, `*.*${dotted}`];
}

/** Bytes gathered before a write: lines are written in bunches, at latest after `flushMs`. */
const bufferBytes = 4096;
const flushMs = 100;

/** Makes a logger. `err` is written with its message, stack and causes. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const { level = "info", pretty = process.stdout.isTTY } = options;
  return pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: secretKeys.flatMap(underAny), censor: "[redacted]" },
    },
    options.destination ?? (pretty ? prettyStream() : bufferedOutput()),
  );
}

function prettyStream(): DestinationStream {
  return PinoPretty({ translateTime: "SYS:HH:MM:ss.l", ignore: "pid,hostname", sync: true });
}

function bufferedOutput(): DestinationStream {
  return pino.destination({
    dest: 1,
    minLength: bufferBytes,
    periodicFlush: flushMs,
    sync: true,
  });
}
