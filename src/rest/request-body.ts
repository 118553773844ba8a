/** Makes the request message from the bytes of a body. */
import { create, type DescMessage, type Message, type Registry } from "@bufbuild/protobuf";
import { Code } from "@connectrpc/connect";
import { HttpError, invalidArgument } from "./errors.ts";
import { setField, type MessageFields } from "./field-path.ts";
import { readJsonMessage } from "./json-message.ts";
import type { RestRule } from "./rule.ts";

/** Makes a request message; `bytes` are decompressed and may be empty. Throws INVALID_ARGUMENT. */
export type BodyReader = (bytes: Buffer, contentType: string | undefined) => Message;

/** Whether a message type is `google.api.HttpBody`: raw bytes with a content type. */
export function isHttpBody(desc: DescMessage | undefined): boolean {
  return desc?.typeName === "google.api.HttpBody";
}

/** Compiles the reader of a rule's body. */
export function compileBodyReader(rule: RestRule, registry?: Registry): BodyReader {
  const { input } = rule.method;
  const { body } = rule;
  if (body === undefined) {
    return (bytes) => {
      if (bytes.length > 0 && !isEmptyObject(bytes)) {
        throw invalidArgument("", "this request takes no body");
      }
      return create(input);
    };
  }
  if (body === "*") {
    if (isHttpBody(input)) return (bytes, contentType) => httpBody(input, bytes, contentType);
    return (bytes, contentType) => {
      if (bytes.length === 0) return create(input);
      requireJson(contentType);
      return readJsonMessage(input, bytes, { registry });
    };
  }
  if (body.fieldKind === "message" && isHttpBody(body.message)) {
    return (bytes, contentType) => {
      const message = create(input);
      if (bytes.length > 0) {
        const value = httpBody(body.message, bytes, contentType);
        setField(message as unknown as MessageFields, body, value);
      }
      return message;
    };
  }
  return (bytes, contentType) => {
    if (bytes.length === 0) return create(input);
    requireJson(contentType);
    return readJsonMessage(input, bytes, { registry, field: body });
  };
}

function httpBody(desc: DescMessage, bytes: Buffer, contentType = ""): Message {
  return create(desc, { contentType, data: bytes } as never);
}

function isEmptyObject(bytes: Buffer): boolean {
  return bytes.length < 1000 && /^\s*\{\s*\}\s*$/.test(bytes.toString("latin1"));
}

const jsonType = /^(?:application|text)\/(?:[a-z0-9!#$&^_.+-]+\+)?json$/;

/** A body without a content type is taken for JSON; one with another type is refused. */
export function requireJson(contentType: string | undefined): void {
  if (contentType === undefined || contentType === "application/json") return;
  const [type = "", ...parameters] = contentType.toLowerCase().split(";");
  const accepted = jsonType.test(type.trim()) || type.trim() === "application/x-ndjson";
  const charset = parameters.map((text) => text.trim()).find((text) => text.startsWith("charset="));
  if (accepted && (charset === undefined || /^charset="?utf-?8"?$/.test(charset))) return;
  throw new HttpError(
    415,
    Code.InvalidArgument,
    `content-type "${contentType}" is not supported: send application/json in UTF-8`,
    { accept: "application/json" },
  );
}
