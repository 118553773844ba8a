/** The bodies that a rule takes. */
import type { DescMessage } from "@bufbuild/protobuf";
import type { FieldPath, RestRule } from "../rest/index.ts";
import { commentOf } from "./comments.ts";
import { fieldSchema } from "./field-schema.ts";
import { objectSchema } from "./object-schema.ts";
import { requiredMembers } from "./rules.ts";
import type { Schemas } from "./schemas.ts";
import type { Json, MediaType, RequestBody, Schema } from "./types.ts";

/** Writes the body of a rule's requests. Undefined if it takes none. */
export function requestBody(
  rule: RestRule,
  schemas: Schemas,
  example: Json | undefined,
): RequestBody | undefined {
  const { body, method, variables } = rule;
  if (body === undefined) return undefined;
  const message = body === "*" ? method.input : body.message;
  if (message?.typeName === "google.api.HttpBody") return { content: { "*/*": {} } };
  const set = variables.map(({ fields }) => fields);
  const { schema, required } =
    body === "*"
      ? messageBody(method.input, set, schemas)
      : fieldBody(body, set, schemas, requiredMembers(method.input).has(body));
  const media: MediaType = { schema, ...(example === undefined ? {} : { example }) };
  const streams =
    method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming";
  return {
    ...(streams ? { description: "A stream of messages, one a line." } : {}),
    ...(required ? { required } : {}),
    content: { [streams ? "application/x-ndjson" : "application/json"]: media },
  };
}

interface Body {
  readonly schema: Schema;
  readonly required: boolean;
}

/** The whole message but what the path sets. */
function messageBody(message: DescMessage, set: readonly FieldPath[], schemas: Schemas): Body {
  const schema = set.length === 0 ? schemas.message(message) : objectSchema(message, schemas, set);
  const gone = new Set(set.map(([field]) => field));
  const required = [...requiredMembers(message)].some(
    (member) => member.kind === "oneof" || !gone.has(member),
  );
  return { schema, required };
}

/** One field of the message but what the path sets in it. */
function fieldBody(
  field: Exclude<RestRule["body"], "*" | undefined>,
  set: readonly FieldPath[],
  schemas: Schemas,
  required: boolean,
): Body {
  const inside = set.filter((path) => path[0] === field && path.length > 1);
  if (inside.length === 0 || field.fieldKind !== "message") {
    return { schema: fieldSchema(field, schemas), required };
  }
  const without = inside.map((path) => path.slice(1));
  const schema = objectSchema(field.message, schemas, without);
  const comment = commentOf(field);
  return { schema: comment === "" ? schema : { ...schema, description: comment }, required };
}
