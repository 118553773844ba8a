/** The one logger: JSON lines on standard output, pretty on a terminal. */
import { type DestinationStream, type Logger, pino, stdSerializers } from "pino";
import { PinoPretty } from "pino-pretty";
import { redact } from "./redact.ts";

export type { Logger };

export interface LoggerOptions {
  /** `fatal`, `error`, `warn`, `info`, `debug`, `trace` or `silent`. */
  level?: string;
  /** Human-readable instead of JSON. Default: whether standard output is a terminal. */
  pretty?: boolean;
  /** Where lines go instead of standard output. */
  destination?: DestinationStream;
}

/** Bytes gathered before a write: lines are written in bunches, at latest after `flushMs`. */
const bufferBytes = 4096;
const flushMs = 100;

/** Makes a logger. `err` is written with its message, stack and causes; secrets are not written. */
export function createLogger(options: LoggerOptions = {}): Logger {
  const { level = "info", pretty = process.stdout.isTTY } = options;
  return pino(
    {
      level,
      base: null,
      timestamp,
      // pino's own redaction copies every object on every path: 30 µs a line.
      formatters: { level: (label) => ({ level: label }), log: redact },
      serializers: { err: (error: Error) => redact(stdSerializers.err(error)) },
    },
    options.destination ?? (pretty ? prettyStream() : bufferedOutput()),
  );
}

let second = 0;
let secondText = "";

/** ISO 8601 in UTC; the date is worked out once a second. */
function timestamp(): string {
  const now = Date.now();
  const milliseconds = now % 1000;
  if (now - milliseconds !== second) {
    second = now - milliseconds;
    secondText = `,"time":"${new Date(second).toISOString().slice(0, 20)}`;
  }
  return `${secondText}${String(milliseconds).padStart(3, "0")}Z"`;
}

function prettyStream(): DestinationStream {
  return PinoPretty({ translateTime: "SYS:HH:MM:ss.l", ignore: "pid,hostname", sync: true });
}

/** Writes in bunches, without waiting; what is left is written when the process exits. */
function bufferedOutput(): DestinationStream {
  return pino.destination({
    dest: 1,
    minLength: bufferBytes,
    periodicFlush: flushMs,
    sync: false,
  });
}
