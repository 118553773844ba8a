/** The request messages of a client stream: lines of NDJSON, or chunks of raw bytes. */
import type { Message } from "@bufbuild/protobuf";
import { ConnectError } from "@connectrpc/connect";
import type { IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { createBrotliDecompress, createGunzip } from "node:zlib";
import type { Call } from "./call.ts";
import { invalidArgument } from "./errors.ts";
import { requireJson } from "./request-body.ts";
import { clientGone, hasBody, tooLarge, unknownEncoding } from "./request-bytes.ts";

/**
 * Reads a client stream. Path and query are set in every message. A rule
 * without a body gives one message, as does an empty body of raw bytes.
 */
export async function* readStream(call: Call, maxBytes: number): AsyncGenerator<Message> {
  const { endpoint, request, segments, query } = call;
  const { raw } = request;
  const { headers } = raw;
  const parts = { segments, query, headers };
  if (endpoint.rule.body === undefined || !hasBody(headers)) {
    if (endpoint.rule.body === undefined || endpoint.takesRawBody) {
      yield endpoint.readMessage(Buffer.alloc(0), parts);
    }
    return;
  }
  if (!endpoint.takesRawBody) requireJson(headers["content-type"]);
  const bytes = decompressed(raw);
  const pieces = endpoint.takesRawBody ? bytes : lines(bytes, maxBytes);
  let number = 0;
  for await (const piece of pieces) {
    number++;
    try {
      yield endpoint.readMessage(piece, parts);
    } catch (error) {
      throw endpoint.takesRawBody ? error : onLine(error, number);
    }
  }
}

function onLine(error: unknown, number: number): unknown {
  if (!(error instanceof ConnectError)) return error;
  const message = `line ${number}: ${error.rawMessage}`;
  const named = new ConnectError(message, error.code, error.metadata, undefined, error.cause);
  named.details = error.details;
  return named;
}

/** Splits bytes at newlines; empty lines are passed over. */
async function* lines(chunks: AsyncIterable<Buffer>, maxBytes: number): AsyncGenerator<Buffer> {
  let rest: Buffer[] = [];
  let size = 0;
  for await (const chunk of chunks) {
    let start = 0;
    for (;;) {
      const end = chunk.indexOf(10, start);
      const piece = chunk.subarray(start, end === -1 ? chunk.length : end);
      size += piece.length;
      if (size > maxBytes) throw tooLarge(maxBytes);
      if (piece.length > 0) rest.push(piece);
      if (end === -1) break;
      const line = joined(rest);
      if (line !== undefined) yield line;
      rest = [];
      size = 0;
      start = end + 1;
    }
  }
  const line = joined(rest);
  if (line !== undefined) yield line;
}

function joined(pieces: Buffer[]): Buffer | undefined {
  const line = pieces.length === 1 && pieces[0] ? pieces[0] : Buffer.concat(pieces);
  return line.every((byte) => byte === 32 || byte === 9 || byte === 13) ? undefined : line;
}

/**
 * The bytes of a request, decompressed. What a reader leaves that stops early is thrown away, as
 * node does with bodies that nobody reads: the connection's next request stands behind it.
 */
async function* decompressed(raw: IncomingMessage): AsyncGenerator<Buffer> {
  const encoding = raw.headers["content-encoding"]?.trim().toLowerCase() ?? "";
  try {
    if (encoding === "" || encoding === "identity") yield* plain(raw);
    else yield* decoded(raw, encoding);
  } finally {
    raw.unpipe();
    raw.resume();
  }
}

async function* plain(raw: IncomingMessage): AsyncGenerator<Buffer> {
  try {
    yield* chunksOf(raw);
  } catch {
    // A request breaks when its connection does.
    throw clientGone();
  }
}

async function* decoded(raw: IncomingMessage, encoding: string): AsyncGenerator<Buffer> {
  const decoder =
    encoding === "gzip" ? createGunzip() : encoding === "br" ? createBrotliDecompress() : undefined;
  if (decoder === undefined) throw unknownEncoding(encoding);
  raw.once("close", () => {
    if (!raw.readableEnded) decoder.destroy(clientGone());
  });
  try {
    yield* chunksOf(raw.pipe(decoder));
  } catch (error) {
    if (error instanceof ConnectError) throw error;
    throw invalidArgument("content-encoding", `the body is not valid ${encoding}`);
  }
}

function chunksOf(stream: Readable): AsyncIterable<Buffer> {
  return { [Symbol.asyncIterator]: () => stream.iterator({ destroyOnReturn: false }) };
}
