/** Reads request messages in the two forms of Connect. */
import { type DescMessage, fromBinary, type Message } from "@bufbuild/protobuf";
import { readJsonMessage } from "../rest/index.ts";
import { unreadableRequest } from "../rpc/unreadable.ts";

/** Reads protobuf. Throws INVALID_ARGUMENT that names the field where it can. */
export function readProtobuf(schema: DescMessage, bytes: Buffer): Message {
  try {
    return fromBinary(schema, bytes);
  } catch (reason) {
    throw unreadableRequest(schema, bytes, reason);
  }
}

/**
 * Reads JSON. Throws INVALID_ARGUMENT that names the field or the place.
 * Unknown fields are passed over, as everywhere in Connect: a caller may know more
 * of them than this version.
 */
export function readJson(schema: DescMessage, bytes: Buffer): Message {
  return readJsonMessage(schema, bytes, { ignoreUnknownFields: true });
}
