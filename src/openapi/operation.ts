/** One rule as one operation. */
import { getOption, hasOption, type DescMethod, type DescService } from "@bufbuild/protobuf";
import { stream as streamOption } from "../../gen/tribe/rest/v1/stream_pb.js";
import type { RestRule } from "../rest/index.ts";
import { commentOf, summaryOf } from "./comments.ts";
import { etagHeader, ifMatch, ifNoneMatch, isTagged } from "./conditions.ts";
import { errorResponses, type ErrorName } from "./errors.ts";
import { requestExample } from "./example.ts";
import { documentPath } from "./path.ts";
import { queryParameters } from "./query.ts";
import { requestBody } from "./request-body.ts";
import { successResponse } from "./responses.ts";
import type { Schemas } from "./schemas.ts";
import type {
  Extensions,
  Header,
  JsonObject,
  Operation,
  Parameter,
  SecurityRequirement,
} from "./types.ts";

/** What the descriptors do not say about a method. */
export interface MethodNotes {
  /** Alternatives of what must be sent along; empty if everyone may call. Default: not said. */
  readonly security?: readonly SecurityRequirement[];
  /** Goes below the method's comment. */
  readonly description?: string;
  /** Headers that the method takes. */
  readonly parameters?: readonly Parameter[];
  /** Added to the operation. */
  readonly extensions?: Extensions;
  /** A request to show, as the JSON of its message; required fields may be left out. */
  readonly example?: JsonObject;
}

/** An operation and where it stands. */
export interface PlacedOperation {
  readonly path: string;
  readonly operation: Operation;
}

/** What all operations share. */
export interface OperationContext {
  readonly schemas: Schemas;
  readonly responseHeaders: Readonly<Record<string, Header>>;
  /** Those whose requests take `If-Match`. */
  readonly conditional: ReadonlySet<RestRule>;
  /** The names of a path's parameters. */
  pathNames(rule: RestRule): readonly string[];
  notesOn(method: DescMethod): MethodNotes;
}

/** Writes the operation of a rule. */
export function placeOperation(
  rule: RestRule,
  operationId: string,
  { schemas, responseHeaders, conditional, pathNames, notesOn }: OperationContext,
): PlacedOperation {
  const { method } = rule;
  const notes = notesOn(method);
  const example = requestExample(rule, notes.example);
  const { path, parameters: pathParameters } = documentPath(
    rule,
    pathNames(rule),
    schemas,
    example.path,
  );
  const parameters = [
    ...pathParameters,
    ...queryParameters(rule, schemas, example.query),
    ...lastEventId(method),
    ...(isTagged(rule) ? [ifNoneMatch] : []),
    ...(conditional.has(rule) ? [ifMatch] : []),
    ...(notes.parameters ?? []),
  ];
  const body = requestBody(rule, schemas, example.body);
  const comment = commentOf(method);
  const description = [comment, notes.description ?? ""].filter((text) => text !== "").join("\n\n");
  const headers = headerReferences(responseHeaders);
  const operation: Operation = {
    operationId,
    tags: [tagOf(method.parent)],
    ...(comment === "" ? {} : { summary: summaryOf(comment) }),
    ...(description === "" ? {} : { description }),
    ...(method.deprecated ? { deprecated: true } : {}),
    ...(notes.security === undefined ? {} : { security: notes.security }),
    ...(parameters.length === 0 ? {} : { parameters }),
    ...(body === undefined ? {} : { requestBody: body }),
    responses: {
      "200": { ...successResponse(rule, schemas), ...headersOf(rule, headers) },
      ...(isTagged(rule)
        ? { "304": { description: "Not changed.", ...headersOf(rule, headers) } }
        : {}),
      ...errorResponses(errorsOf(rule, notes, conditional.has(rule))),
    },
    "x-rpc": `${method.parent.typeName}/${method.name}`,
    ...notes.extensions,
  };
  return { path, operation };
}

/** The tag of a service's methods: its name, without what all services are called. */
export function tagOf(service: DescService): string {
  return service.name.replace(/(?<=.)Service$/, "");
}

/** References to the shared headers; undefined if there are none. */
export function headerReferences(
  headers: Readonly<Record<string, Header>>,
): Record<string, { $ref: string }> | undefined {
  const names = Object.keys(headers);
  if (names.length === 0) return undefined;
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

type HeaderReferences = ReturnType<typeof headerReferences>;

function headersOf(rule: RestRule, shared: HeaderReferences) {
  if (isTagged(rule)) return { headers: { ...shared, etag: etagHeader } };
  return shared === undefined ? {} : { headers: shared };
}

function errorsOf(
  { variables }: RestRule,
  { security }: MethodNotes,
  isConditional: boolean,
): ErrorName[] {
  const secured = security !== undefined && security.length > 0;
  return [
    "InvalidArgument",
    ...(secured ? (["Unauthenticated", "PermissionDenied"] as const) : []),
    ...(variables.length > 0 ? (["NotFound"] as const) : []),
    ...(isConditional ? (["Changed"] as const) : []),
  ];
}

function lastEventId(method: DescMethod): Parameter[] {
  if (!hasOption(method, streamOption)) return [];
  const { lastEventIdField } = getOption(method, streamOption);
  if (lastEventIdField === "") return [];
  return [
    {
      name: "Last-Event-ID",
      in: "header",
      description: `\`id:\` of the last event that was received; stands for \`${lastEventIdField}\`.`,
      schema: { type: "string" },
    },
  ];
}
