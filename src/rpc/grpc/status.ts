/** ConnectError -> gRPC status with `grpc-status-details-bin`. */
import { create, toBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import type { ConnectError } from "@connectrpc/connect";
import type { Metadata } from "@grpc/grpc-js";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import { addHeaders, metadataWithRequestId } from "./metadata.ts";

/** How a gRPC call ends. */
export interface GrpcStatus {
  code: number;
  details: string;
  metadata: Metadata;
}

/** The status that tells a caller of an error: message, details and the error's metadata. */
export function statusFromError(error: ConnectError, requestId: string): GrpcStatus {
  const metadata = addHeaders(metadataWithRequestId(requestId), error.metadata);
  if (error.details.length > 0) {
    const status = create(StatusSchema, {
      code: error.code,
      message: error.rawMessage,
      details: error.details.map(packDetail),
    });
    metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, status)));
  }
  return { code: error.code, details: error.rawMessage, metadata };
}

/** Packs an error detail as google.protobuf.Any. */
function packDetail(detail: ConnectError["details"][number]): Any {
  if ("desc" in detail) {
    return create(AnySchema, {
      typeUrl: `type.googleapis.com/${detail.desc.typeName}`,
      value: toBinary(detail.desc, create(detail.desc, detail.value)),
    });
  }
  return create(AnySchema, {
    typeUrl: `type.googleapis.com/${detail.type}`,
    value: detail.value,
  });
}
