/** Message types that JSON writes in a way of their own. */
import type { DescMessage } from "@bufbuild/protobuf";
import { isWrapperDesc } from "@bufbuild/protobuf/wkt";
import { boundExtensions, listConstraints } from "./number-constraints.ts";
import { scalarSchema } from "./scalar-schema.ts";
import type { Json, JsonObject, Schema } from "./types.ts";

/** The schema of a well-known type with a field's rules. Undefined: an ordinary message. */
export function wellKnownSchema(message: DescMessage, rules: JsonObject): Schema | undefined {
  switch (message.typeName) {
    case "google.protobuf.Timestamp":
      return { type: "string", format: "date-time", ...timeConstraints(rules) };
    case "google.protobuf.Duration":
      return {
        type: "string",
        format: "google-duration",
        pattern: String.raw`^-?\d{1,12}(\.\d{1,9})?s$`,
        ...boundExtensions(rules),
        ...listConstraints(rules),
        examples: (rules["example"] as Json[] | undefined) ?? ["1.5s"],
      };
    case "google.protobuf.FieldMask":
      return {
        type: "string",
        format: "google-fieldmask",
        pattern: String.raw`^([A-Za-z_]\w*(\.[A-Za-z_]\w*)*(,[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)*)?$`,
        ...(rules["in"] === undefined ? {} : { "x-paths": rules["in"] }),
      };
    case "google.protobuf.Struct":
      return { type: "object", additionalProperties: true };
    case "google.protobuf.ListValue":
      return { type: "array", items: {} };
    case "google.protobuf.Value":
      return {};
    case "google.protobuf.Empty":
      return { type: "object" };
    case "google.protobuf.Any":
      return {
        type: "object",
        properties: { "@type": { type: "string", description: "URL of the message's type." } },
        required: ["@type"],
        additionalProperties: true,
      };
    case "google.api.HttpBody":
      return { type: "string", format: "binary" };
  }
  if (!isWrapperDesc(message)) return undefined;
  const [value] = message.fields;
  const schema = value.fieldKind === "scalar" ? scalarSchema(value.scalar, rules) : {};
  return typeof schema.type === "string" ? { ...schema, type: [schema.type, "null"] } : schema;
}

function timeConstraints(rules: JsonObject): Schema {
  return {
    ...boundExtensions(rules),
    ...listConstraints(rules),
    ...(rules["ltNow"] === true ? { "x-exclusive-maximum": "now" } : {}),
    ...(rules["gtNow"] === true ? { "x-exclusive-minimum": "now" } : {}),
    ...(rules["within"] === undefined ? {} : { "x-within": rules["within"] }),
  };
}
