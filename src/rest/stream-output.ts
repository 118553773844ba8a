/** Where the bytes of a server stream go. */
import type { Writable } from "node:stream";
import { addVary } from "./answer.ts";
import type { Call, Serving } from "./call.ts";
import { acceptedCoding, createCompressor, isCompressible } from "./compression.ts";

/** The most characters that are joined: more than a stream takes before it asks its writer to wait. */
const largestBatch = 64 * 1024;

/** Takes the pieces of one response, in order. */
export interface Output {
  /** Undefined: go on. Otherwise the writer should wait: for room, or for the response's end. */
  write(piece: string | Uint8Array): Promise<void> | undefined;
  /** `last`: one more piece. */
  end(last?: string): void;
}

/** Sends the status line and headers; Fastify has nothing to do with the rest. */
export function openOutput(
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
  if (coding === undefined || request.method === "HEAD") return batched(raw, raw);
  const compressor = createCompressor(coding);
  compressor.pipe(raw);
  raw.once("close", () => compressor.destroy());
  return batched(compressor, raw, flushes ? () => compressor.flush() : undefined);
}

/**
 * Joins the texts of one tick. Pieces of an answer come several at once, as many as one read of
 * the provider's socket brought, and writing each costs more than making it. Nothing waits for
 * company: what is written goes out in the tick in which node itself would have sent it.
 */
function batched(stream: Writable, raw: Writable, flush?: () => void): Output {
  let texts = "";

  function send(): void {
    const batch = texts;
    texts = "";
    if (batch === "" || raw.destroyed) return;
    stream.write(batch);
    flush?.();
  }
  return {
    write(piece) {
      if (typeof piece === "string") {
        if (texts === "") process.nextTick(send);
        texts += piece;
      } else {
        send();
        stream.write(piece);
        flush?.();
      }
      if (texts.length >= largestBatch) send();
      return stream.writableNeedDrain ? drained(stream, raw) : undefined;
    },
    end(last = "") {
      const rest = texts + last;
      texts = "";
      if (rest === "") stream.end();
      else stream.end(rest);
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
