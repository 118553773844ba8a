/** Writes the messages of a server stream to a response. */
import type { Message } from "@bufbuild/protobuf";
import type { Writable } from "node:stream";
import type { CallContext } from "../rpc/invoke.ts";
import { addVary } from "./answer.ts";
import { copyHeaders, mapSafely, sendError, type Call, type Serving } from "./call.ts";
import { acceptedCoding, createCompressor, isCompressible } from "./compression.ts";
import { streamForm } from "./stream-form.ts";

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
    if (form.error !== undefined) output.stream.end(form.error(status));
    else raw.destroy();
  };
  const onAbort = (): void => fail(signal.reason);
  const keepAlive = (): void => {
    if (idle && form.keepAlive !== undefined && !over) {
      (output ?? open(undefined)).write(form.keepAlive);
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
      const { stream, write } = output ?? open(message);
      // A HEAD wants to know no more than this.
      if (request.method === "HEAD") break;
      idle = false;
      if (!write(form.write(message))) await drained(stream, raw);
    }
    if (!over) {
      over = true;
      (output ?? open(undefined)).stream.end();
    }
  } catch (error) {
    fail(error);
  } finally {
    over = true;
    clearInterval(timer);
    signal.removeEventListener("abort", onAbort);
  }
}

/** Where the bytes of a stream go. */
interface Output {
  readonly stream: Writable;
  /** False if the writer should wait. */
  write(piece: string | Uint8Array): boolean;
}

/** Sends the status line and headers; Fastify has nothing to do with the rest. */
function openOutput(
  contentType: string,
  flushes: boolean,
  call: Call,
  { settings }: Serving,
): Output {
  const { reply, request } = call;
  const { raw } = reply;
  const compressible =
    (settings.compressStreams || !flushes) &&
    isCompressible(contentType) &&
    !reply.hasHeader("content-encoding");
  const coding = compressible ? acceptedCoding(request.headers["accept-encoding"]) : undefined;
  if (compressible) addVary(call, "Accept-Encoding");
  if (coding !== undefined) reply.header("content-encoding", coding);
  reply.type(contentType).hijack();
  raw.writeHead(200, reply.getHeaders() as Record<string, string>);
  if (coding === undefined || request.method === "HEAD") {
    return { stream: raw, write: (piece) => raw.write(piece) };
  }
  const compressor = createCompressor(coding);
  compressor.pipe(raw);
  raw.once("close", () => compressor.destroy());
  return {
    stream: compressor,
    write(piece) {
      const more = compressor.write(piece);
      if (flushes) compressor.flush();
      return more;
    },
  };
}

/** Waits until the stream takes more, or the response is closed. */
function drained(stream: Writable, raw: Writable): Promise<void> {
  if (raw.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("drain", done);
      raw.off("close", done);
      resolve();
    };
    stream.on("drain", done);
    raw.on("close", done);
  });
}
