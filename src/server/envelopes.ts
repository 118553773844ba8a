/**
 * Looks at the envelopes of Connect streams and gRPC-Web on their way to and from
 * Connect-ES, which names no field, calls bad protobuf INTERNAL, puts U+FFFD in
 * place of what is not UTF-8, and refuses without telling an interceptor.
 */
import { ConnectError, type Code } from "@connectrpc/connect";

const headLength = 5;
const compressedFlag = 1;
const trailerFlag = 0x80;

/**
 * Passes requests on once `check` has seen them; it throws what the caller is told.
 * Compressed envelopes, and larger ones than `maxBytes`, pass unchecked: what is
 * too large is refused by Connect-ES.
 */
export async function* checkedEnvelopes(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
  check: (message: Buffer) => void,
): AsyncIterable<Uint8Array> {
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    pending = pending.byteLength === 0 ? Buffer.from(chunk) : Buffer.concat([pending, chunk]);
    for (;;) {
      const end = endOfEnvelope(pending);
      if (end > maxBytes) {
        yield pending;
        yield* chunks;
        return;
      }
      if (pending.byteLength < end) break;
      const envelope = pending.subarray(0, end);
      if (((envelope[0] ?? 0) & compressedFlag) === 0) check(envelope.subarray(headLength));
      yield envelope;
      pending = pending.subarray(end);
    }
  }
  if (pending.byteLength > 0) yield pending;
}

function endOfEnvelope(bytes: Buffer): number {
  return bytes.byteLength < headLength ? headLength : headLength + bytes.readUInt32BE(1);
}

/** Passes a response on and tells of the error in gRPC-Web's trailers. */
export function watchedResponse(
  chunks: AsyncIterable<Uint8Array>,
  onError: (error: ConnectError) => void,
): AsyncIterable<Uint8Array> {
  const ended = { done: true as const, value: undefined };
  return {
    [Symbol.asyncIterator]() {
      const source = chunks[Symbol.asyncIterator]();
      return {
        async next() {
          const result = await source.next();
          const error = result.done ? undefined : errorInTrailers(result.value);
          if (error) onError(error);
          return result;
        },
        return: async (value?: unknown) => (await source.return?.(value)) ?? ended,
        throw: async (reason?: unknown) => (await source.throw?.(reason)) ?? ended,
      };
    },
  };
}

function errorInTrailers(frame: Uint8Array): ConnectError | undefined {
  if (((frame[0] ?? 0) & trailerFlag) === 0) return undefined;
  const text = Buffer.from(frame).toString("latin1");
  const code = Number(/^grpc-status: ?(\d+)/im.exec(text.slice(headLength))?.[1] ?? 0);
  const [, message = ""] = /^grpc-message: ?(.*)$/im.exec(text) ?? [];
  return code === 0 ? undefined : new ConnectError(decodeURIComponent(message), code as Code);
}
