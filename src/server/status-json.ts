/** Errors as google.rpc.Status JSON, for requests that meet no RPC. */
import { create, createRegistry, toBinary, toJsonString } from "@bufbuild/protobuf";
import { AnySchema } from "@bufbuild/protobuf/wkt";
import { Code, type ConnectError } from "@connectrpc/connect";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";

const registry = createRegistry(file_google_rpc_error_details);

/** `{"code":…,"message":…,"details":[…]}`. */
export function statusJson(error: ConnectError): string {
  const details = error.details.flatMap((detail) =>
    "desc" in detail
      ? create(AnySchema, {
          typeUrl: `type.googleapis.com/${detail.desc.typeName}`,
          value: toBinary(detail.desc, create(detail.desc, detail.value)),
        })
      : [],
  );
  const status = create(StatusSchema, { code: error.code, message: error.rawMessage, details });
  return toJsonString(StatusSchema, status, { registry });
}

const httpStatuses: Partial<Record<Code, number>> = {
  [Code.Canceled]: 499,
  [Code.InvalidArgument]: 400,
  [Code.DeadlineExceeded]: 504,
  [Code.NotFound]: 404,
  [Code.AlreadyExists]: 409,
  [Code.PermissionDenied]: 403,
  [Code.ResourceExhausted]: 429,
  [Code.FailedPrecondition]: 400,
  [Code.Aborted]: 409,
  [Code.OutOfRange]: 400,
  [Code.Unimplemented]: 501,
  [Code.Unavailable]: 503,
  [Code.Unauthenticated]: 401,
};

/** The HTTP status of an error. https://github.com/googleapis/googleapis/blob/master/google/rpc/code.proto */
export function httpStatus(code: Code): number {
  return httpStatuses[code] ?? 500;
}
