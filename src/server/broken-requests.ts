/** Connections on which no request arrives that could be answered in the usual way. */
import type { Socket } from "node:net";
import { acceptRequestId, createCall } from "../rpc/call.ts";
import { type CallEntry, logRefusal } from "../rpc/calls.ts";
import { errorResponse, refusal } from "./refusal.ts";

const statuses: Record<string, number> = {
  HPE_HEADER_OVERFLOW: 431,
  ERR_HTTP_REQUEST_TIMEOUT: 408,
};

/** Answers what is not HTTP, too slow or has too large headers, and closes the connection. */
export function createClientErrorHandler(log: (entry: CallEntry) => void, maxHeaderBytes: number) {
  const texts: Record<number, string> = {
    400: "this is not a valid HTTP/1.1 request",
    408: "the request took too long to arrive",
    431: `the headers are larger than ${maxHeaderBytes} bytes`,
  };
  return (reason: NodeJS.ErrnoException, socket: Socket): void => {
    if (reason.code === "ECONNRESET" || !socket.writable) {
      socket.destroy();
      return;
    }
    const status = statuses[reason.code ?? ""] ?? 400;
    const requestId = acceptRequestId(undefined);
    const { error, body } = errorResponse(refusal(status, texts[status] ?? ""), requestId);
    logRefusal(log, createCall("http", requestId, socket.remoteAddress), "(no request)", error);
    const head = [
      `HTTP/1.1 ${status} Refused`,
      "connection: close",
      `x-request-id: ${requestId}`,
      "content-type: application/json",
      `content-length: ${Buffer.byteLength(body)}`,
    ];
    socket.end(`${head.join("\r\n")}\r\n\r\n${body}`);
  };
}
