/** gRPC spoken by hand over HTTP/2, for what no client would send. */
import { connect, constants, type IncomingHttpHeaders } from "node:http2";
import { fromBinary } from "@bufbuild/protobuf";
import { StatusSchema, type Status } from "../../gen/google/rpc/status_pb.js";

export interface RawResponse {
  headers: IncomingHttpHeaders;
  /** Trailers, or the headers of a response that has nothing but them. */
  trailers: IncomingHttpHeaders;
  body: Buffer;
}

/** Frames a message: flag, length, bytes. */
export function frame(message: Uint8Array, flag = 0): Buffer {
  const head = Buffer.alloc(5);
  head.writeUInt8(flag, 0);
  head.writeUInt32BE(message.byteLength, 1);
  return Buffer.concat([head, message]);
}

/** Sends bytes as the body of one request. */
export function callRaw(
  address: string,
  path: string,
  body: Uint8Array,
  headers: Record<string, string> = {},
): Promise<RawResponse> {
  const session = connect(`http://${address}`);
  return new Promise<RawResponse>((resolve, reject) => {
    session.on("error", reject);
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: path,
      "content-type": "application/grpc",
      te: "trailers",
      ...headers,
    });
    let received: IncomingHttpHeaders = {};
    let trailers: IncomingHttpHeaders | undefined;
    const chunks: Buffer[] = [];
    stream.on("response", (given) => (received = given));
    stream.on("trailers", (given) => (trailers = given));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("close", () =>
      resolve({ headers: received, trailers: trailers ?? received, body: Buffer.concat(chunks) }),
    );
    stream.end(body);
  }).finally(() => session.destroy());
}

/** The google.rpc.Status of a response that failed. */
export function statusOf({ trailers }: RawResponse): Status {
  const details = String(trailers["grpc-status-details-bin"]);
  return fromBinary(StatusSchema, Buffer.from(details, "base64"));
}
