/** Makes the body of a response from the response message. */
import {
  ScalarType,
  toJson,
  type DescField,
  type JsonObject,
  type JsonValue,
  type JsonWriteOptions,
  type Message,
} from "@bufbuild/protobuf";
import { hasUnorderedParts } from "./canonical-json.ts";
import { getField, isOpaque, type MessageFields } from "./field-path.ts";
import { isHttpBody } from "./request-body.ts";
import type { RestRule } from "./rule.ts";

/** A body that is not JSON. */
export interface RawBody {
  readonly contentType: string;
  readonly data: Uint8Array;
}

/** Writes response messages of one rule; one of the two functions is set. */
export type ResponseWriter =
  | { readonly raw: (message: Message) => RawBody; readonly json?: never; unordered?: never }
  | {
      readonly json: (message: Message) => JsonValue;
      readonly raw?: never;
      /** Whether the JSON of equal messages may differ in the order of keys. */
      readonly unordered: boolean;
    };

/** Compiles the writer of a rule's responses. */
export function compileResponseWriter(
  { method, responseBody }: RestRule,
  options: Partial<JsonWriteOptions>,
): ResponseWriter {
  const { output } = method;
  const unordered = hasUnorderedParts(output);
  if (responseBody === undefined) {
    if (isHttpBody(output)) return { raw: (message) => rawBody(message) };
    return { json: (message) => toJson(output, message, options), unordered };
  }
  if (responseBody.fieldKind === "message" && isHttpBody(responseBody.message)) {
    return {
      raw: (message) =>
        rawBody(getField(message as unknown as MessageFields, responseBody) as Message | undefined),
    };
  }
  const key = options.useProtoFieldName ? responseBody.name : responseBody.jsonName;
  const whenUnset = defaultJson(responseBody, options.enumAsInteger === true);
  return {
    json: (message) => (toJson(output, message, options) as JsonObject)[key] ?? whenUnset,
    unordered,
  };
}

function rawBody(message: Message | undefined): RawBody {
  const { contentType, data } = (message ?? {}) as Partial<RawBody>;
  return { contentType: contentType || "application/octet-stream", data: data ?? noBytes };
}

const noBytes = new Uint8Array(0);

/** What a response_body that is not set looks like. */
function defaultJson(field: DescField, enumAsInteger: boolean): JsonValue {
  switch (field.fieldKind) {
    case "list":
      return [];
    case "map":
      return {};
    case "message":
      return isOpaque(field.message) ? null : {};
    case "enum": {
      const value = field.enum.values[0];
      return enumAsInteger ? (value?.number ?? 0) : (value?.jsonName ?? 0);
    }
    default:
      return defaultScalar(field.scalar);
  }
}

function defaultScalar(type: ScalarType): JsonValue {
  switch (type) {
    case ScalarType.STRING:
    case ScalarType.BYTES:
      return "";
    case ScalarType.BOOL:
      return false;
    case ScalarType.INT64:
    case ScalarType.UINT64:
    case ScalarType.SINT64:
    case ScalarType.FIXED64:
    case ScalarType.SFIXED64:
      return "0";
    default:
      return 0;
  }
}
