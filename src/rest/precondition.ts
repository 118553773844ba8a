/**
 * `If-Match` on PUT, PATCH and DELETE (RFC 9110, section 13.1.1), for resources
 * that carry an `etag` field. A tag may be the one that GET has sent or the
 * value of the field. The request's own etag field, where it has one, is set
 * from the current resource, so that the handler's comparison decides.
 */
import type { DescField, DescMessage, Message } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { tagOfMessage } from "./answer.ts";
import { openContext, type Call } from "./call.ts";
import { parseTags, type EntityTag } from "./entity-tag.ts";
import { HttpError, invalidArgument } from "./errors.ts";
import { getField, parentOf, setField, type FieldPath, type MessageFields } from "./field-path.ts";
import type { RestRule } from "./rule.ts";
import type { Serving } from "./call.ts";

/** Whether a request states a condition that has to be looked at. */
export function hasPrecondition({ request }: Call): boolean {
  if (request.headers["if-match"] === undefined) return false;
  return ["PUT", "PATCH", "DELETE"].includes(request.method);
}

/** Throws 412 (ABORTED) unless the resource is as `If-Match` says; may set the message's etag. */
export async function checkPrecondition(
  message: Message,
  call: Call,
  serving: Serving,
): Promise<void> {
  const tags = parseTags(call.request.headers["if-match"] ?? "");
  if (tags === undefined) throw invalidArgument("if-match", 'expected "*" or tags in quotes');
  const requestPath = requestEtag(call.endpoint.rule);
  const current = await readCurrent(call, serving);
  if (current === undefined && requestPath === undefined) {
    throw invalidArgument("if-match", "this resource has no etag");
  }
  if (tags === "*") return;
  if (current === undefined) {
    const [tag] = tags;
    if (tags.length !== 1 || tag === undefined || tag.weak) {
      throw invalidArgument("if-match", "expected one strong tag");
    }
    if (requestPath !== undefined) putEtag(message, requestPath, tag.value);
    return;
  }
  if (!tags.some((tag) => !tag.weak && isTagOf(tag, current))) throw changed();
  if (requestPath !== undefined) putEtag(message, requestPath, current.etag);
}

/** The failure of a condition. */
export function changed(): HttpError {
  return new HttpError(412, Code.Aborted, "the resource is not as if-match says: read it again");
}

/** A resource as it is now. */
interface Current {
  /** What GET sends as `ETag`, without quotes. */
  readonly tag: string;
  /** The value of its etag field. */
  readonly etag: string;
}

function isTagOf({ value }: EntityTag, { tag, etag }: Current): boolean {
  return value === tag || value === etag;
}

/** Calls the GET route of the same path, if there is one whose resource has an etag. */
async function readCurrent(call: Call, serving: Serving): Promise<Current | undefined> {
  const found = serving.findRead(call.path);
  if (found === undefined) return undefined;
  const { target: endpoint, segments } = found;
  const path =
    endpoint.rule.method.methodKind === "unary" ? responseEtag(endpoint.rule) : undefined;
  if (path === undefined) return undefined;
  const get: Call = { ...call, endpoint, segments, query: "" };
  const { headers } = call.request.raw;
  const message = endpoint.readMessage(Buffer.alloc(0), { segments, query: "", headers });
  const context = openContext(get, serving);
  try {
    const resource = await endpoint.invocable.invokeUnary(message, context);
    const last = path.at(-1);
    const etag = last === undefined ? undefined : getField(parentOf(resource, path), last);
    const tag = context.responseHeader.get("etag") ?? tagOfMessage(endpoint, resource);
    return { tag: tag.slice(1, -1), etag: String(etag ?? "") };
  } finally {
    context.abort();
  }
}

/** Where a request carries the etag of the resource that it changes. */
export function requestEtag({ method, body, variables }: RestRule): FieldPath | undefined {
  const { input } = method;
  if (body !== undefined && body !== "*") return nested(body) ?? own(input);
  const bound = variables.map(({ fields }) => fields[0]).find((field) => nested(field));
  return own(input) ?? nested(bound);
}

/** Where a response carries its etag: in itself, or in its only resource. */
export function responseEtag({ method, responseBody }: RestRule): FieldPath | undefined {
  const { output } = method;
  if (responseBody !== undefined) return nested(responseBody);
  const resources = output.fields.flatMap((field) => [nested(field)]).filter((path) => path);
  return own(output) ?? (resources.length === 1 ? resources[0] : undefined);
}

function own(message: DescMessage): FieldPath | undefined {
  const field = message.fields.find(({ name }) => name === "etag");
  return field?.fieldKind === "scalar" ? [field] : undefined;
}

function nested(field: DescField | undefined): FieldPath | undefined {
  if (field?.fieldKind !== "message") return undefined;
  const path = own(field.message);
  return path === undefined ? undefined : [field, ...path];
}

function putEtag(message: Message, path: FieldPath, etag: string): void {
  const field = path.at(-1);
  if (field === undefined) return;
  const holder: MessageFields = parentOf(message, path);
  const given = getField(holder, field);
  if (given !== undefined && given !== "" && given !== etag) throw changed();
  setField(holder, field, etag);
}
