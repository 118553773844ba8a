/** gRPC metadata <-> fetch Headers. Binary values (`-bin`) are base64 in Headers, as in Connect. */
import { Metadata } from "@grpc/grpc-js";

/** Headers of a call. A key that was sent twice is joined with a comma. */
export function headersFromMetadata(metadata: Metadata): Headers {
  const headers = new Headers();
  const fields = metadata.toHttp2Headers();
  for (const key in fields) {
    const value = fields[key];
    if (value === undefined) continue;
    try {
      headers.set(key, Array.isArray(value) ? value.join(", ") : String(value));
    } catch {
      // HTTP/2 lets keys and values through that Headers does not take; nobody can ask for them.
    }
  }
  return headers;
}

/** Headers that belong to the protocol and are written by the door itself. */
const protocolHeader = /^(?:content-|grpc-|te$|trailer$|connection$|transfer-encoding$|date$)/;
const illegalCharacters = /[^ -~]/g;

/** Adds Headers to metadata. */
export function addHeaders(metadata: Metadata, headers: Headers): Metadata {
  for (const [key, value] of headers) {
    if (protocolHeader.test(key)) continue;
    if (key.endsWith("-bin")) {
      for (const part of value.split(",")) metadata.add(key, Buffer.from(part.trim(), "base64"));
    } else {
      metadata.add(key, value.replace(illegalCharacters, "?"));
    }
  }
  return metadata;
}

/** Metadata that starts with the request id. */
export function metadataWithRequestId(requestId: string): Metadata {
  const metadata = new Metadata();
  metadata.set("x-request-id", requestId);
  return metadata;
}
