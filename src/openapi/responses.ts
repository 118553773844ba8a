/** What an operation answers with when all goes well. */
import { getOption, hasOption, type DescMethod } from "@bufbuild/protobuf";
import { stream as streamOption } from "../../gen/tribe/rest/v1/stream_pb.js";
import type { RestRule } from "../rest/index.ts";
import { commentOf } from "./comments.ts";
import { fieldSchema } from "./field-schema.ts";
import type { Schemas } from "./schemas.ts";
import type { MediaType, Schema } from "./types.ts";
import { wellKnownSchema } from "./well-known-schema.ts";

/** A response without what all responses share. */
export interface Success {
  readonly description: string;
  readonly content: Readonly<Record<string, MediaType>>;
}

/** Writes the answer of a rule: a message, one of its fields, raw bytes, or a stream of them. */
export function successResponse(rule: RestRule, schemas: Schemas): Success {
  const { method, responseBody } = rule;
  const message = responseBody === undefined ? method.output : responseBody.message;
  const streams =
    method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming";
  const ownName = wellKnownSchema(method.output, {}) === undefined;
  const comment = (ownName ? commentOf(responseBody ?? method.output) : "") || "OK.";
  if (message?.typeName === "google.api.HttpBody") {
    const description = streams ? "A file, sent piece by piece." : "A file.";
    return { description, content: { "*/*": {} } };
  }
  const schema =
    responseBody === undefined
      ? schemas.message(method.output)
      : fieldSchema(responseBody, schemas);
  if (!streams) return { description: comment, content: { "application/json": { schema } } };
  return {
    description: `${comment}\n\n${describeStream(method)}`,
    content: {
      "text/event-stream": { schema },
      "application/x-ndjson": { schema: { anyOf: [schema, lastLine] } },
    },
  };
}

/** How NDJSON says that a stream failed after its first byte. */
const lastLine: Schema = {
  type: "object",
  description: "The last line of a stream that failed.",
  properties: { error: { $ref: "#/components/schemas/Status" } },
  required: ["error"],
};

function describeStream(method: DescMethod): string {
  const option = hasOption(method, streamOption) ? getOption(method, streamOption) : undefined;
  const names = method.output.oneofs
    .find((oneof) => oneof.name === option?.eventNameOneof)
    ?.fields.map((field) => `\`${field.name}\``);
  const id = option?.eventIdField;
  return [
    "A stream: one JSON object a line, or, for `Accept: text/event-stream`, Server-Sent Events " +
      "whose `data:` is that object.",
    id ? `\`id:\` is its \`${id}\`.` : "",
    names ? `\`event:\` is ${names.join(", ")}.` : "",
    'If the stream fails after it has begun, the last line is `{"error": Status}`, the last ' +
      "event is `error` with the Status.",
  ]
    .filter((text) => text !== "")
    .join(" ");
}
