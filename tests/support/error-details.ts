/** Reads the google.rpc details of an error, whichever door it came through. */
import { createRegistry, fromBinary, toJson, type JsonObject } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { ServiceError } from "@grpc/grpc-js";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.js";
import { StatusSchema, type Status } from "../../gen/google/rpc/status_pb.js";

const registry = createRegistry(file_google_rpc_error_details);

/** Details by the short names of their types, for example `BadRequest`. */
export function detailsOf(status: Status): Record<string, JsonObject> {
  const details: Record<string, JsonObject> = {};
  for (const any of status.details) {
    const message = anyUnpack(any, registry);
    const schema = message && registry.getMessage(message.$typeName);
    if (message && schema) details[schema.name] = toJson(schema, message) as JsonObject;
  }
  return details;
}

/** The google.rpc.Status that a gRPC error carries. */
export function statusFromServiceError(error: ServiceError): Status {
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  return fromBinary(StatusSchema, bytes as Buffer);
}
