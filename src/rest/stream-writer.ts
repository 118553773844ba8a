/** Writes the messages of a server stream to a response. */
import type { Message } from "@bufbuild/protobuf";
import type { CallContext } from "../rpc/invoke.ts";
import { copyHeaders, mapSafely, sendError, type Call, type Serving } from "./call.ts";
import { streamForm } from "./stream-form.ts";
import { openOutput, type Output } from "./stream-output.ts";

/**
 * Writes all messages; settles when the response is over. Never throws.
 *
 * The status line waits for the first message, so that an error before it has
 * its own status. Later errors are the last event; where the form has none,
 * the connection is cut so that nobody takes the part for the whole.
 */
export async function writeStream(
  messages: AsyncIterable<Message>,
  call: Call,
  context: CallContext,
  serving: Serving,
): Promise<void> {
  const { endpoint, request, reply } = call;
  const { settings } = serving;
  const { raw } = reply;
  const { signal } = context;
  const form = streamForm(endpoint, request.headers.accept);
  let output: Output | undefined;
  let over = false;
  let idle = true;

  const open = (first: Message | undefined): Output => {
    copyHeaders(context.answered().header, reply);
    if (!reply.hasHeader("cache-control")) reply.header("cache-control", "no-store");
    reply.header("x-accel-buffering", "no");
    return (output = openOutput(form.contentType(first), form.flushes, call, serving));
  };
  const fail = (error: unknown): void => {
    if (over) return;
    over = true;
    if (raw.destroyed) return;
    if (output === undefined) {
      copyHeaders(context.answered().header, reply);
      sendError(error, call, serving);
      return;
    }
    const { status } = serving.writeError(mapSafely(error, request, serving));
    if (form.error !== undefined) output.end(form.error(status));
    else raw.destroy();
  };
  const onAbort = (): void => fail(signal.reason);
  const keepAlive = (): void => {
    if (idle && form.keepAlive !== undefined && !over) {
      void (output ?? open(undefined)).write(form.keepAlive);
    }
    idle = true;
  };

  const timer =
    form.keepAlive === undefined ? undefined : setInterval(keepAlive, settings.keepAliveMs);
  timer?.unref();
  signal.addEventListener("abort", onAbort);
  try {
    for await (const message of messages) {
      if (over) break;
      const { write } = output ?? open(message);
      // A HEAD wants to know no more than this.
      if (request.method === "HEAD") break;
      idle = false;
      const room = write(form.write(message));
      if (room !== undefined) await room;
    }
    if (!over) {
      over = true;
      (output ?? open(undefined)).end();
    }
  } catch (error) {
    fail(error);
  } finally {
    over = true;
    clearInterval(timer);
    signal.removeEventListener("abort", onAbort);
  }
}
