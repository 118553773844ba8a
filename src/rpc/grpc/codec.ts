/** Messages <-> bytes. A message that cannot be read is the caller's mistake and says so. */
import { fromBinary, toBinary, type DescMessage, type Message } from "@bufbuild/protobuf";
import type { DomainError } from "../../errors.ts";
import { unreadableRequest } from "../unreadable.ts";

/** Reads a request; gives the error instead of throwing it, which grpc-js would call INTERNAL. */
export function readMessage(schema: DescMessage, bytes: Buffer): Message | DomainError {
  try {
    return fromBinary(schema, bytes);
  } catch (reason) {
    return unreadableRequest(schema, bytes, reason);
  }
}

/** Writes a response. The buffer is a view of the bytes: nothing is copied. */
export function writeMessage(schema: DescMessage, message: Message): Buffer {
  const bytes = toBinary(schema, message);
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
