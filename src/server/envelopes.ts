/**
 * Looks at the envelopes of Connect streams and gRPC-Web on their way to and from
 * Connect-ES, which names no field, calls bad protobuf INTERNAL, puts U+FFFD in
 * place of what is not UTF-8, and refuses without telling an interceptor.
 */
import { ConnectError, Code } from "@connectrpc/connect";
import { DomainError } from "../errors.ts";

const headLength = 5;
const compressedFlag = 1;
const trailerFlag = 0x80;

/**
 * Passes requests on once `check` has seen them; compressed ones pass unchecked. What it
 * throws, and what is no envelope or is larger than `maxBytes`, is told as `toError` says it.
 */
export async function* checkedEnvelopes(
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
  check: (message: Buffer) => void,
  toError: (reason: unknown) => Error,
): AsyncIterable<Uint8Array> {
  let pending: Buffer = Buffer.alloc(0);
  for await (const chunk of chunks) {
    pending = pending.byteLength === 0 ? Buffer.from(chunk) : Buffer.concat([pending, chunk]);
    for (;;) {
      if (pending.byteLength < headLength) break;
      const flags = pending[0] ?? 0;
      const length = pending.readUInt32BE(1);
      if (flags > compressedFlag) throw toError(notAnEnvelope());
      if (length > maxBytes) throw toError(tooLarge(maxBytes));
      const end = headLength + length;
      if (pending.byteLength < end) break;
      const envelope = pending.subarray(0, end);
      if (flags !== compressedFlag) {
        try {
          check(envelope.subarray(headLength));
        } catch (reason) {
          throw toError(reason);
        }
      }
      yield envelope;
      pending = pending.subarray(end);
    }
  }
  if (pending.byteLength > 0) yield pending;
}

/** A client that sends its message bare: its first letters would be read as a huge length. */
function notAnEnvelope(): DomainError {
  const text =
    "the body is not in envelopes: before each message there must be a byte of flags, 0 or 1 " +
    "for compressed, and four bytes of its length";
  return new DomainError("INVALID_ARGUMENT", "MALFORMED_REQUEST", text);
}

function tooLarge(maxBytes: number): ConnectError {
  const text = `the request is larger than ${maxBytes} bytes; send less`;
  return new ConnectError(text, Code.ResourceExhausted);
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
