/**
 * What grpc-js refuses by itself, in our words. It answers some requests before
 * any handler or interceptor is asked; those get the same error details, request
 * id and log line as every other.
 */
import { Code, ConnectError } from "@connectrpc/connect";
import { type Server, status } from "@grpc/grpc-js";
import type { IncomingHttpHeaders, ServerHttp2Stream } from "node:http2";

/** The error behind a status that grpc-js made up. */
export function refusalFromStatus(
  refused: { code?: number | null; details?: string | null },
  maxMessageBytes: number,
): ConnectError {
  const details = refused.details ?? "";
  switch (refused.code) {
    case status.RESOURCE_EXHAUSTED:
      return new ConnectError(
        `the request is larger than ${maxMessageBytes} bytes; send less`,
        Code.ResourceExhausted,
      );
    case status.DEADLINE_EXCEEDED:
      return new ConnectError(
        "the call took longer than its deadline allows; allow more time",
        Code.DeadlineExceeded,
      );
    case status.UNIMPLEMENTED:
      return new ConnectError(details, Code.Unimplemented);
    case status.INTERNAL:
      if (details === "Failed to decompress message") {
        return new ConnectError(
          "the request is not compressed as its grpc-encoding says",
          Code.InvalidArgument,
        );
      }
      if (details.startsWith("Invalid grpc-timeout")) {
        return new ConnectError(
          `${details}; send 1 to 8 digits and one of H, M, S, m, u, n`,
          Code.InvalidArgument,
        );
      }
  }
  return new ConnectError(details, Code.Internal);
}

/** The part of grpc-js's server that decides whether a request meets a handler. */
interface ServerInternals {
  _retrieveHandler?(path: string): unknown;
  _verifyContentType?(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean;
}

/** The longest deadline that grpc-js's 32-bit milliseconds can hold: about 24 days. */
const longestTimeout = "2000000S";
const longTimeout = /^(?:\d{7,8}S|\d{5,8}M|\d{3,8}H)$/;

/**
 * Lets our own code answer unknown methods and wrong content types, which grpc-js
 * answers without a request id, and keeps very long deadlines from wrapping around
 * to "already over". There is no public seam for either; the package's version is
 * pinned, and without these methods grpc-js answers as it always does.
 */
export function takeOverRefusals(
  server: Server,
  fallbackHandler: (path: string) => unknown,
  refuseContentType: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void,
): void {
  const internals = server as unknown as ServerInternals;
  const retrieve = internals._retrieveHandler?.bind(server);
  if (retrieve) {
    internals._retrieveHandler = (path) => retrieve(path) ?? fallbackHandler(path);
  }
  if (!internals._verifyContentType) return;
  internals._verifyContentType = (stream, headers) => {
    const contentType = headers["content-type"];
    if (!contentType?.startsWith("application/grpc")) {
      refuseContentType(stream, headers);
      return false;
    }
    const timeout = headers["grpc-timeout"];
    if (typeof timeout === "string" && longTimeout.test(timeout)) {
      headers["grpc-timeout"] = longestTimeout;
    }
    return true;
  };
}
