/** One rule, compiled: everything that does not depend on the request. */
import {
  getOption,
  hasOption,
  isFieldSet,
  type DescField,
  type DescOneof,
  type Message,
} from "@bufbuild/protobuf";
import type { IncomingHttpHeaders } from "node:http";
import { stream as streamOption } from "../../gen/tribe/rest/v1/stream_pb.js";
import type { InvocableMethod } from "../rpc/invoke.ts";
import { invalidArgument, quote } from "./errors.ts";
import { setField, type MessageFields } from "./field-path.ts";
import type { RestSettings } from "./options.ts";
import { parameterReader } from "./parameter.ts";
import { compilePathReader } from "./path-variables.ts";
import { compileQueryReader } from "./query.ts";
import { compileBodyReader, isHttpBody } from "./request-body.ts";
import { compileResponseWriter, type ResponseWriter } from "./response-body.ts";
import type { RestRule } from "./rule.ts";

/** What of a request makes its message. */
export interface RequestParts {
  /** Raw path segments. */
  readonly segments: readonly string[];
  /** Raw query, without `?`. */
  readonly query: string;
  readonly headers: IncomingHttpHeaders;
}

/** A route, ready to serve. */
export interface Endpoint {
  readonly rule: RestRule;
  readonly invocable: InvocableMethod;
  readonly response: ResponseWriter;
  /** Whether the body is raw bytes. */
  readonly takesRawBody: boolean;
  /** Fields for Server-Sent Events, as tribe.rest.v1.stream names them. */
  readonly eventId: DescField | undefined;
  readonly eventName: DescOneof | undefined;
  /** Makes the request message from a (decompressed) body and the rest. Throws INVALID_ARGUMENT. */
  readMessage(bytes: Buffer, parts: RequestParts): Message;
}

/** Compiles a rule. Throws an Error that names the RPC if its stream option does not fit. */
export function compileEndpoint(
  rule: RestRule,
  invocable: InvocableMethod,
  settings: RestSettings,
): Endpoint {
  const { registry, jsonOptions, ignoredQueryParameters } = settings;
  const readBody = compileBodyReader(rule, registry);
  const readQuery = compileQueryReader(rule, ignoredQueryParameters);
  const readPath = compilePathReader(rule);
  const { eventId, eventName, lastEventId } = streamFields(rule);
  const readLastEventId = lastEventId === undefined ? undefined : parameterReader(lastEventId);
  const { body } = rule;
  return {
    rule,
    invocable,
    response: compileResponseWriter(rule, registry ? { ...jsonOptions, registry } : jsonOptions),
    takesRawBody:
      body === "*" ? isHttpBody(rule.method.input) : body !== undefined && isHttpBody(body.message),
    eventId,
    eventName,
    readMessage(bytes, { segments, query, headers }) {
      const message = readBody(bytes, headers["content-type"]);
      if (query !== "") readQuery(query, message);
      readPath(segments, message);
      if (lastEventId !== undefined && readLastEventId !== undefined) {
        setLastEventId(message, lastEventId, readLastEventId, headers["last-event-id"]);
      }
      return message;
    },
  };
}

/** The request's own value goes before the header's. */
function setLastEventId(
  message: Message,
  field: DescField,
  read: (text: string) => unknown,
  header: string | string[] | undefined,
): void {
  if (header === undefined || header === "") return;
  const holder = message as unknown as MessageFields;
  if (isFieldSet(message, field)) return;
  const text = String(header);
  try {
    setField(holder, field, read(text));
  } catch (error) {
    throw invalidArgument("last-event-id", `${(error as Error).message}, got ${quote(text)}`);
  }
}

function streamFields({ method }: RestRule): {
  eventId?: DescField | undefined;
  eventName?: DescOneof | undefined;
  lastEventId?: DescField | undefined;
} {
  if (!hasOption(method, streamOption)) return {};
  const { eventIdField, eventNameOneof, lastEventIdField } = getOption(method, streamOption);
  const find = <T extends { name: string }>(members: readonly T[], name: string): T | undefined => {
    if (name === "") return undefined;
    const member = members.find((candidate) => candidate.name === name);
    if (member !== undefined) return member;
    const rpc = `${method.parent.typeName}.${method.name}`;
    throw new Error(`${rpc}: tribe.rest.v1.stream: there is no "${name}"`);
  };
  const isScalar = (field: DescField) => field.fieldKind === "scalar";
  return {
    eventId: find(method.output.fields.filter(isScalar), eventIdField),
    eventName: find(method.output.oneofs, eventNameOneof),
    lastEventId: find(method.input.fields.filter(isScalar), lastEventIdField),
  };
}
