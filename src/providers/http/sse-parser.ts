/**
 * Parses server-sent events out of the pieces in which a socket delivers them.
 * https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream
 *
 * All events of a piece are handed over in one synchronous go: no promise, no
 * iterator and no object an event. A piece is decoded once, up to its last line
 * end, so that a UTF-8 sequence is never cut.
 */

/**
 * Takes the data of one event. `event` is its name, empty when the server gave
 * none. `cut`: the stream ended within its last line, so the data may be a part.
 */
export type EventHandler = (data: string, event: string, cut: boolean) => void;

export interface SseParser {
  /** Takes the next piece. Throws when an event is larger than the limit. */
  push(chunk: Buffer): void;
  /** The stream has ended: an event without its closing empty line is handed over too. */
  end(): void;
}

export interface SseParserOptions {
  /** The most bytes of one event; more is an error. Default: 16 MiB. */
  maxEventBytes?: number;
}

const LF = 10;
const CR = 13;
const SPACE = 32;
const COLON = 58;
const BYTE_ORDER_MARK = 0xfeff;

/** Makes a parser for one stream. */
export function createSseParser(onEvent: EventHandler, options: SseParserOptions = {}): SseParser {
  const maxEventBytes = options.maxEventBytes ?? 16 * 1024 * 1024;
  // The tail of the stream that has no line end yet. Pieces are joined only when
  // one arrives: an event of many pieces is copied once, not once a piece.
  let tail: Buffer[] = [];
  let tailBytes = 0;
  let atStart = true;
  let data: string | undefined;
  let event = "";

  function push(chunk: Buffer): void {
    const end = lastLineEnd(chunk);
    if (end <= 0) {
      keep(chunk);
      return;
    }
    let text: string;
    if (tailBytes === 0) {
      text = chunk.toString("utf8", 0, end);
    } else {
      tail.push(end === chunk.length ? chunk : chunk.subarray(0, end));
      text = Buffer.concat(tail).toString("utf8");
      tail = [];
      tailBytes = 0;
    }
    if (end < chunk.length) keep(chunk.subarray(end));
    if (atStart) {
      atStart = false;
      if (text.charCodeAt(0) === BYTE_ORDER_MARK) text = text.slice(1);
    }
    // Data of the protocols that we read is JSON, which has no raw CR in it.
    lines(text.includes("\r") ? text.replace(/\r\n?/g, "\n") : text);
  }

  function keep(piece: Buffer): void {
    tail.push(piece);
    tailBytes += piece.length;
    if (tailBytes > maxEventBytes) {
      throw new RangeError(`an event of the stream is larger than ${maxEventBytes} bytes`);
    }
  }

  function lines(text: string): void {
    const length = text.length;
    let start = 0;
    while (start < length) {
      const end = text.indexOf("\n", start);
      if (end === start) {
        dispatch();
      } else if (text.startsWith("data", start)) {
        const value = valueAt(text, start + 4);
        // The usual event: one data line and the empty line after it.
        if (value > 0 && data === undefined && text.charCodeAt(end + 1) === LF) {
          const name = event;
          event = "";
          onEvent(text.slice(value, end), name, false);
          start = end + 2;
          continue;
        }
        if (value > 0) append(text.slice(value, end));
      } else if (text.startsWith("event", start)) {
        const value = valueAt(text, start + 5);
        if (value > 0) event = text.slice(value, end);
      }
      start = end + 1;
    }
  }

  function append(value: string): void {
    data = data === undefined ? value : `${data}\n${value}`;
    if (data.length > maxEventBytes) {
      throw new RangeError(`an event of the stream is larger than ${maxEventBytes} bytes`);
    }
  }

  function dispatch(cut = false): void {
    const complete = data;
    const name = event;
    data = undefined;
    event = "";
    if (complete !== undefined) onEvent(complete, name, cut);
  }

  function end(): void {
    const cut = tailBytes > 0;
    if (cut) push(Buffer.from("\n"));
    dispatch(cut);
  }

  return { push, end };
}

/** Where the value of a field begins whose name ends before `index`; -1 when it is another field. */
function valueAt(text: string, index: number): number {
  const separator = text.charCodeAt(index);
  if (separator === LF) return index;
  if (separator !== COLON) return -1;
  return text.charCodeAt(index + 1) === SPACE ? index + 2 : index + 1;
}

/**
 * The index after the last line end, or 0. A CR at the very end is left for the
 * next piece, because the LF of the same line end may follow.
 */
function lastLineEnd(chunk: Buffer): number {
  const lf = chunk.lastIndexOf(LF);
  if (lf === chunk.length - 1) return lf + 1;
  const cr = chunk.length > 1 ? chunk.lastIndexOf(CR, chunk.length - 2) : -1;
  return Math.max(lf, cr) + 1;
}
