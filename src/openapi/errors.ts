/** The errors that every operation shares: google.rpc.Status with its details. */
import type { DescMessage } from "@bufbuild/protobuf";
import { objectSchema } from "./object-schema.ts";
import type { Schemas } from "./schemas.ts";
import type { JsonObject, Response, Schema } from "./types.ts";

/** What an operation can be refused for, beside what nobody can foresee. */
export type ErrorName =
  "InvalidArgument" | "Unauthenticated" | "PermissionDenied" | "NotFound" | "Changed";

interface KnownError {
  readonly status: string;
  readonly description: string;
  readonly example: JsonObject;
}

const errors: Readonly<Record<ErrorName, KnownError>> = {
  InvalidArgument: {
    status: "400",
    example: { code: 3, message: "pageSize: must be at least 0", details: [] },
    description: "INVALID_ARGUMENT, FAILED_PRECONDITION or OUT_OF_RANGE: the request is wrong.",
  },
  Unauthenticated: {
    status: "401",
    example: { code: 16, message: "the credential is not valid", details: [] },
    description: "UNAUTHENTICATED: no credential, or one that is not valid.",
  },
  PermissionDenied: {
    status: "403",
    example: { code: 7, message: "the credential does not allow this", details: [] },
    description: "PERMISSION_DENIED: the credential does not allow it.",
  },
  NotFound: {
    status: "404",
    example: { code: 5, message: "it does not exist", details: [] },
    description: "NOT_FOUND: what the path names does not exist.",
  },
  Changed: {
    status: "412",
    example: { code: 10, message: "it is not as if-match says: read it again", details: [] },
    description: "ABORTED: what was to be changed is not as `If-Match` says.",
  },
};

/** Refers to shared errors, and to the one for all others, by HTTP status. */
export function errorResponses(names: readonly ErrorName[]): Record<string, Response> {
  const entries = names.map((name): [string, Response] => [errors[name].status, reference(name)]);
  return { ...Object.fromEntries(entries), default: reference("Error") };
}

function reference(name: string): Response {
  return { $ref: `#/components/responses/${name}` };
}

/** Writes the shared errors. `details` are the message types that `details` may hold. */
export function errorComponents(
  schemas: Schemas,
  details: readonly DescMessage[],
  headers: Extract<Response, { description: string }>["headers"],
): Record<string, Response> {
  const schema = statusSchema(schemas, details);
  const write = (description: string, example: JsonObject): Response => ({
    description,
    ...(headers === undefined ? {} : { headers }),
    content: { "application/json": { schema, example } },
  });
  const known = Object.entries(errors).map(([name, { description, example }]) => [
    name,
    write(description, example),
  ]);
  return {
    ...(Object.fromEntries(known) as Record<string, Response>),
    Error: write("Any other error, by the HTTP status of its code.", {
      code: 14,
      message: "try again in a moment",
      details: [],
    }),
  };
}

function statusSchema(schemas: Schemas, details: readonly DescMessage[]): Schema {
  const choices = details.map((detail) => detailSchema(schemas, detail));
  return schemas.add("Status", {
    type: "object",
    description: "An error, google.rpc.Status.",
    properties: {
      code: {
        type: "integer",
        format: "int32",
        description: "gRPC status code: https://grpc.io/docs/guides/status-codes/",
        minimum: 1,
        maximum: 16,
      },
      message: { type: "string", description: "What went wrong, for people." },
      details: {
        type: "array",
        description: "What went wrong, for programs.",
        items:
          choices.length > 0
            ? { oneOf: choices }
            : { type: "object", required: ["@type"], additionalProperties: true },
      },
    },
    required: ["code", "message"],
  });
}

/** A message inside google.protobuf.Any. */
function detailSchema(schemas: Schemas, desc: DescMessage): Schema {
  const schema = objectSchema(desc, schemas);
  return schemas.add(desc.name, {
    ...schema,
    properties: {
      "@type": { const: `type.googleapis.com/${desc.typeName}` },
      ...schema.properties,
    },
    required: ["@type", ...(schema.required ?? [])],
  });
}
