/** Reads the bytes of a request body: limited, and decompressed. */
import type { IncomingHttpHeaders } from "node:http";
import type { Readable } from "node:stream";
import { brotliDecompress, gunzip, inflate, zstdDecompress } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import { HttpError, invalidArgument, quote } from "./errors.ts";

/** A body larger than `maxBytes`, sent or decompressed. */
export function tooLarge(maxBytes: number): HttpError {
  const message = `the body is larger than ${maxBytes} bytes`;
  return new HttpError(413, Code.ResourceExhausted, message);
}

/** Whether the request has a body, by its headers. */
export function hasBody(headers: IncomingHttpHeaders): boolean {
  const length = headers["content-length"];
  return length === undefined ? headers["transfer-encoding"] !== undefined : length !== "0";
}

/**
 * Reads all of `stream`, as `headers` describe it. Fails with 413 beyond
 * `maxBytes` (0 means 0), 415 for an unknown encoding, INVALID_ARGUMENT for
 * broken compression, CANCELLED if the client goes away.
 */
export function readBytes(
  stream: Readable,
  headers: IncomingHttpHeaders,
  maxBytes: number,
): Promise<Buffer> {
  try {
    const decompress = decompressorOf(headers["content-encoding"]);
    if (Number(headers["content-length"] ?? 0) > maxBytes) throw tooLarge(maxBytes);
    const bytes = collect(stream, maxBytes);
    return decompress === undefined ? bytes : bytes.then((raw) => decompress(raw, maxBytes));
  } catch (error) {
    return Promise.reject(error as Error);
  }
}

function collect(stream: Readable, maxBytes: number): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    if (stream.destroyed) {
      reject(clientGone());
      return;
    }
    const chunks: Buffer[] = [];
    let size = 0;
    let isOver = false;
    const onData = (chunk: Buffer): void => {
      size += chunk.length;
      if (size <= maxBytes) {
        chunks.push(chunk);
        return;
      }
      isOver = true;
      stream.off("data", onData);
      reject(tooLarge(maxBytes));
    };
    const onEnd = (): void => {
      isOver = true;
      resolve(chunks.length === 1 && chunks[0] ? chunks[0] : Buffer.concat(chunks));
    };
    // It stays when all is over: to take listeners off costs more than to call one.
    const onBreak = (): void => {
      if (!isOver) reject(clientGone());
    };
    stream.on("data", onData).on("end", onEnd).on("close", onBreak).on("error", onBreak);
  });
}

/** The client went away before it had sent everything. */
export function clientGone(): ConnectError {
  return new ConnectError("the client went away", Code.Canceled);
}

type Decompress = (bytes: Buffer, maxBytes: number) => Promise<Buffer>;
type ZlibFunction = (
  bytes: Buffer,
  options: { maxOutputLength: number },
  callback: (error: NodeJS.ErrnoException | null, result: Buffer) => void,
) => void;

const decompressors: ReadonlyMap<string, Decompress> = new Map([
  ["gzip", promised("gzip", gunzip as ZlibFunction)],
  ["x-gzip", promised("gzip", gunzip as ZlibFunction)],
  ["br", promised("br", brotliDecompress as ZlibFunction)],
  ["deflate", promised("deflate", inflate as ZlibFunction)],
  ["zstd", promised("zstd", zstdDecompress as ZlibFunction)],
]);

function promised(name: string, decompress: ZlibFunction): Decompress {
  return (bytes, maxBytes) =>
    new Promise((resolve, reject) => {
      decompress(bytes, { maxOutputLength: Math.max(maxBytes, 1) }, (error, result) => {
        if (error === null) resolve(result);
        else if (error.code === "ERR_BUFFER_TOO_LARGE") reject(tooLarge(maxBytes));
        else reject(invalidArgument("content-encoding", `the body is not valid ${name}`));
      });
    });
}

function decompressorOf(encoding: string | undefined): Decompress | undefined {
  const name = encoding?.trim().toLowerCase() ?? "";
  if (name === "" || name === "identity") return undefined;
  const decompress = decompressors.get(name);
  if (decompress === undefined) throw unknownEncoding(name);
  return decompress;
}

/** A content coding that is not understood: 415. */
export function unknownEncoding(name: string): HttpError {
  const message = `content-encoding ${quote(name)} is not supported: use gzip, br, or none`;
  return new HttpError(415, Code.InvalidArgument, message, { "accept-encoding": "gzip, br" });
}
