/** Writes the messages of a server stream to a response. */
import type { Message } from "@bufbuild/protobuf";
import type { CallContext } from "../rpc/invoke.ts";
import { copyHeaders, sendError, type Call, type Serving } from "./call.ts";
import { streamForm } from "./stream-output.ts";

/** Writes one stream. */
export interface StreamWriter {
  /** Writes all messages; settles when the response is over. Never throws. */
  run(messages: AsyncIterable<Message>): Promise<void>;
}

/**
 * The status line waits for the first message, so that an error before it has
 * its own status. Later errors are the last event; where the form has none,
 * the connection is cut so that nobody takes the part for the whole.
 */
export function createStreamWriter(
  call: Call,
  context: CallContext,
  serving: Serving,
): StreamWriter {
  const { endpoint, request, reply } = call;
  const { settings, writeError } = serving;
  const { raw } = reply;
  const form = streamForm(endpoint, request.headers.accept);
  let opened = false;
  let over = false;
  let idle = true;

  const open = (first: Message | undefined): void => {
    opened = true;
    copyHeaders(context.responseHeader, reply);
    reply.type(form.contentType(first));
    if (!reply.hasHeader("cache-control")) reply.header("cache-control", "no-store");
    reply.header("x-accel-buffering", "no");
    reply.hijack();
    raw.writeHead(200, reply.getHeaders() as Record<string, string>);
  };
  const fail = (error: unknown): void => {
    if (over) return;
    over = true;
    if (!opened) {
      copyHeaders(context.responseHeader, reply);
      sendError(error, call, serving);
      return;
    }
    const { status } = writeError(settings.mapError(error, request));
    if (form.error !== undefined) raw.end(form.error(status));
    else raw.destroy();
  };
  const keepAlive = (): void => {
    if (idle && form.keepAlive !== undefined && !over) {
      if (!opened) open(undefined);
      raw.write(form.keepAlive);
    }
    idle = true;
  };

  return {
    async run(messages) {
      const timer =
        form.keepAlive === undefined ? undefined : setInterval(keepAlive, settings.keepAliveMs);
      timer?.unref();
      const { signal } = context;
      const onAbort = (): void => fail(signal.reason);
      signal.addEventListener("abort", onAbort);
      try {
        for await (const message of messages) {
          if (over || raw.destroyed) break;
          if (!opened) open(message);
          idle = false;
          if (!raw.write(form.write(message))) await drained(raw);
        }
        if (!over) {
          over = true;
          if (!opened) open(undefined);
          raw.end();
        }
      } catch (error) {
        fail(error);
      } finally {
        over = true;
        clearInterval(timer);
        signal.removeEventListener("abort", onAbort);
      }
    },
  };
}

/** Waits until the response takes more, or is closed. */
function drained(raw: NodeJS.WritableStream & { destroyed?: boolean }): Promise<void> {
  if (raw.destroyed === true) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      raw.off("drain", done).off("close", done);
      resolve();
    };
    raw.on("drain", done).on("close", done);
  });
}
