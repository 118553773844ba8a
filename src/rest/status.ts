/** Writes an error as google.rpc.Status JSON with its HTTP status and headers. */
import {
  create,
  createRegistry,
  fromBinary,
  toJson,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  type Message,
  type Registry,
} from "@bufbuild/protobuf";
import { base64Encode } from "@bufbuild/protobuf/wire";
import { Code, type ConnectError } from "@connectrpc/connect";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.js";
import { isHttpError } from "./errors.ts";
import { isOpaque } from "./field-path.ts";

/** HTTP status by code, as google/rpc/code.proto says. */
const httpStatuses: Readonly<Record<Code, number>> = {
  [Code.Canceled]: 499,
  [Code.Unknown]: 500,
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
  [Code.Internal]: 500,
  [Code.Unavailable]: 503,
  [Code.DataLoss]: 500,
  [Code.Unauthenticated]: 401,
};

/** google.rpc.Status in JSON. */
export interface StatusJson extends JsonObject {
  code: number;
  message: string;
  details: JsonValue[];
}

/** An error, ready to be sent. */
export interface ErrorResponse {
  readonly httpStatus: number;
  readonly headers: Record<string, string>;
  readonly status: StatusJson;
}

/** The HTTP status of a code. */
export function httpStatusOf(code: Code): number {
  return httpStatuses[code] ?? 500;
}

/** Compiles the writer of errors. Details of types that `registry` lacks keep their bytes. */
export function compileErrorWriter(registry?: Registry): (error: ConnectError) => ErrorResponse {
  const types = createRegistry(
    file_google_rpc_error_details,
    ...(registry === undefined ? [] : registry),
  );
  return (error) => {
    const headers: Record<string, string> = {};
    error.metadata.forEach((value, name) => (headers[name] = value));
    const details = error.details.map((detail) => detailToJson(detail, types));
    const delay = retryDelay(details);
    if (delay !== undefined) headers["retry-after"] ??= String(delay);
    if (error.code === Code.Unauthenticated) headers["www-authenticate"] ??= "Bearer";
    return {
      httpStatus: isHttpError(error) ? error.httpStatus : httpStatusOf(error.code),
      headers,
      status: { code: error.code, message: error.rawMessage, details },
    };
  };
}

type Detail = ConnectError["details"][number];

function detailToJson(detail: Detail, registry: Registry): JsonValue {
  if ("desc" in detail) {
    return anyJson(detail.desc, create(detail.desc, detail.value as never), registry);
  }
  const desc = registry.getMessage(detail.type);
  if (desc !== undefined) {
    try {
      return anyJson(desc, fromBinary(desc, detail.value), registry);
    } catch {
      // Bytes that are not what they claim to be are passed on as they are.
    }
  }
  return { "@type": typeUrl(detail.type), value: base64Encode(detail.value) };
}

function anyJson(desc: DescMessage, message: Message, registry: Registry): JsonValue {
  const json = toJson(desc, message, { registry });
  const type = { "@type": typeUrl(desc.typeName) };
  return isOpaque(desc) ? { ...type, value: json } : { ...type, ...(json as JsonObject) };
}

function typeUrl(typeName: string): string {
  return `type.googleapis.com/${typeName}`;
}

/** Whole seconds of the first RetryInfo, rounded up. */
function retryDelay(details: readonly JsonValue[]): number | undefined {
  for (const detail of details as JsonObject[]) {
    if (detail["@type"] !== typeUrl("google.rpc.RetryInfo")) continue;
    const seconds = Number.parseFloat(String(detail["retryDelay"] ?? ""));
    if (seconds >= 0) return Math.ceil(seconds);
  }
  return undefined;
}
