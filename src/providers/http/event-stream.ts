/**
 * One streamed answer: asks, feeds the bytes of the answer to the parser, and
 * settles when the answer is complete, has failed or was aborted.
 */
import type { ModelResult } from "../provider.ts";
import { createSseParser } from "./sse-parser.ts";

/** Can break off a request; undici's DispatchController. */
interface Abortable {
  abort(reason: Error): void;
}

/** Takes one answer from the HTTP client, in this order. */
export interface ByteReceiver {
  /** The request has a connection; may come again when it is sent anew. */
  start(request: Abortable): void;
  /** The answer is a good one and its body follows. */
  accept(contentType: string | string[] | undefined): void;
  data(chunk: Buffer): void;
  end(): void;
  fail(error: Error): void;
}

/** Reads the events of one answer. */
export interface EventReader {
  /**
   * Takes one event. True when the answer is complete. Throws to break off.
   * `cut`: the body ended within the event, so the data may be a part of it.
   */
  event(data: string, event: string, cut: boolean): boolean;
  /** The body ended before `event` said so. Throws when the answer is not complete. */
  end(): void;
}

/** Reads an answer. */
export interface AnswerReader extends EventReader {
  /** Whether any event has arrived. */
  started(): boolean;
  /** How the answer ended. Only after the end. */
  result(): ModelResult;
}

/** A good status whose body is not a stream of events. */
export class UnexpectedBodyError extends Error {
  override readonly name = "UnexpectedBodyError";
  /** The start of the body. Not enumerable: it may be a whole answer, which is not for the log. */
  declare readonly body: string;

  constructor(contentType: string, body: string) {
    super(`the provider answered with ${contentType} instead of an event stream`);
    Object.defineProperty(this, "body", { value: body, writable: true });
  }
}

/** How long a server may take to end a body whose answer is complete. */
const LINGER_MS = 1000;
const MAX_UNEXPECTED_BYTES = 64 * 1024;
/** How long a body that is no answer is read. */
const UNEXPECTED_BODY_MS = 2000;

/**
 * `ask` starts the request; it may have to wait before it can.
 * Resolves when `reader` has a complete answer. Rejects with what `ask`, the
 * connection or the reader failed with, or with `signal.reason`.
 */
export async function readEventStream(
  ask: (receiver: ByteReceiver) => Promise<void> | undefined,
  reader: EventReader,
  signal: AbortSignal,
): Promise<void> {
  signal.throwIfAborted();
  const { promise: answered, resolve, reject } = Promise.withResolvers<void>();
  // Whoever fails first is told; the later ones are consequences.
  answered.catch(ignore);
  let request: Abortable | undefined;
  let unexpected: { contentType: string; chunks: Buffer[]; bytes: number } | undefined;
  let settled = false;
  let bodyEnded = false;
  let lingering: NodeJS.Timeout | undefined;
  const parser = createSseParser((data, event, cut) => {
    if (!settled && reader.event(data, event, cut)) settle();
  });

  function settle(): void {
    settled = true;
    resolve();
  }
  function fail(error: unknown): void {
    if (settled) return;
    settled = true;
    reject(error);
    request?.abort(error instanceof Error ? error : new Error("aborted", { cause: error }));
  }
  function onAbort(): void {
    fail(signal.reason);
  }

  const receiver: ByteReceiver = {
    start(started) {
      request = started;
      if (settled) started.abort(new Error("aborted"));
    },
    accept(type) {
      const contentType = String(type ?? "");
      // Some servers name no type or a wrong one; only what cannot be events is refused.
      if (!/json|html/i.test(contentType)) return;
      unexpected = { contentType, chunks: [], bytes: 0 };
      lingering = setTimeout(failUnexpected, UNEXPECTED_BODY_MS).unref();
    },
    data(chunk) {
      if (settled) return;
      if (unexpected !== undefined) {
        unexpected.chunks.push(chunk);
        unexpected.bytes += chunk.length;
        if (unexpected.bytes > MAX_UNEXPECTED_BYTES) failUnexpected();
        return;
      }
      try {
        parser.push(chunk);
      } catch (error) {
        fail(error);
      }
    },
    end() {
      bodyEnded = true;
      clearTimeout(lingering);
      if (settled) return;
      if (unexpected !== undefined) {
        failUnexpected();
        return;
      }
      try {
        parser.end();
        if (settled) return;
        reader.end();
        settle();
      } catch (error) {
        fail(error);
      }
    },
    fail(error) {
      bodyEnded = true;
      clearTimeout(lingering);
      fail(error);
    },
  };

  function failUnexpected(): void {
    const { contentType = "", chunks = [] } = unexpected ?? {};
    fail(new UnexpectedBodyError(contentType, Buffer.concat(chunks).toString("utf8")));
  }

  signal.addEventListener("abort", onAbort);
  try {
    // It may still be at it when the signal aborts: it is not waited for then.
    ask(receiver)?.catch(fail);
    await answered;
  } finally {
    signal.removeEventListener("abort", onAbort);
    if (!bodyEnded) linger();
  }

  /** Keeps the connection for the next call if the body ends soon, else closes it. */
  function linger(): void {
    clearTimeout(lingering);
    lingering = setTimeout(() => {
      request?.abort(new Error("the body did not end with the answer"));
    }, LINGER_MS);
    lingering.unref();
  }
}

function ignore(): void {}
