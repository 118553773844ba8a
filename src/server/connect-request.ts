/** What Connect puts into headers and query parameters. */
import type { IncomingHttpHeaders } from "node:http";
import { promisify } from "node:util";
import { brotliDecompress, gunzip } from "node:zlib";
import { Code, ConnectError } from "@connectrpc/connect";
import { invalidField } from "../errors.ts";

const unaryType = /^application\/(?:json(?:; ?charset=utf-?8)?|proto)$/i;

/** Whether a content type is that of a unary message, JSON or protobuf. */
export function isUnaryType(contentType: string | undefined): boolean {
  return contentType !== undefined && unaryType.test(contentType);
}

/** Whether a unary content type means protobuf. */
export function isBinaryType(contentType: string | undefined): boolean {
  return contentType?.toLowerCase() === "application/proto";
}

/** The deadline in milliseconds: the caller's, at most `limitMs`, which is also the default. */
export function timeoutOf(headers: IncomingHttpHeaders, limitMs: number): number {
  const given = headers["connect-timeout-ms"];
  if (given === undefined) return limitMs;
  if (!/^\d{1,10}$/.test(String(given))) {
    throw invalidField("connect-timeout-ms", "must be milliseconds, 1 to 10 digits");
  }
  return Math.min(Number(given), limitMs);
}

const decompressors = new Map<string, (bytes: Buffer, limit: object) => Promise<Buffer>>([
  ["gzip", promisify(gunzip) as (bytes: Buffer, limit: object) => Promise<Buffer>],
  ["br", promisify(brotliDecompress) as (bytes: Buffer, limit: object) => Promise<Buffer>],
]);

/** The message of a GET request. https://connectrpc.com/docs/protocol#unary-get-request */
export async function readQuery(
  url: string,
  maxBytes: number,
): Promise<{ binary: boolean; bytes: Buffer }> {
  const query = new URLSearchParams(url.slice(url.indexOf("?") + 1));
  const encoding = query.get("encoding");
  if (encoding !== "json" && encoding !== "proto") {
    throw invalidField("encoding", "must be json or proto");
  }
  const text = query.get("message");
  if (text === null) throw invalidField("message", "must be the request message");
  const isBase64 = query.get("base64") === "1";
  if (isBase64 && !/^[A-Za-z0-9+/_-]*={0,2}$/.test(text)) {
    throw invalidField("message", "must be base64");
  }
  const bytes = Buffer.from(text, isBase64 ? "base64url" : "utf8");
  const compression = query.get("compression") ?? "";
  const binary = encoding === "proto";
  if (compression === "" || compression === "identity") return { binary, bytes };
  const decompress = decompressors.get(compression);
  if (!decompress) {
    throw new ConnectError(
      `compression "${compression}" is not supported: use gzip, br or none`,
      Code.Unimplemented,
    );
  }
  const decompressed = await decompress(bytes, { maxOutputLength: maxBytes }).catch(
    (reason: NodeJS.ErrnoException) => {
      if (reason.code !== "ERR_BUFFER_TOO_LARGE") {
        throw invalidField("message", `must be ${compression}`);
      }
      const text = `the request is larger than ${maxBytes} bytes; send less`;
      throw new ConnectError(text, Code.ResourceExhausted);
    },
  );
  return { binary, bytes: decompressed };
}

/** Names the parameter where an error speaks of the body, which a GET request has not. */
export function ofParameter(reason: unknown): unknown {
  const body = "the body ";
  if (!(reason instanceof ConnectError) || !reason.rawMessage.startsWith(body)) return reason;
  return invalidField("message", reason.rawMessage.slice(body.length));
}
