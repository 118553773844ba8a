/** The forms that a server stream takes: Server-Sent Events, NDJSON, or raw bytes. */
import type { Message } from "@bufbuild/protobuf";
import type { Endpoint } from "./endpoint.ts";
import { getField, type MessageFields } from "./field-path.ts";
import type { StatusJson } from "./status.ts";

/** How messages and a last error are written. */
export interface StreamForm {
  /** The content type, known with the first message. */
  contentType(first: Message | undefined): string;
  write(message: Message): string | Uint8Array;
  /** Undefined: the form has no errors, the connection is cut. */
  error?(status: StatusJson): string;
  /** Whether every message should reach the client at once. */
  readonly flushes: boolean;
  /** Sent in pauses, so that the connection is seen to live. */
  readonly keepAlive?: string;
}

/** Chooses the form by the response type and the `Accept` header. */
export function streamForm(endpoint: Endpoint, accept: string | undefined): StreamForm {
  if (endpoint.response.raw !== undefined) return rawForm(endpoint);
  return prefersEvents(accept) ? eventForm(endpoint) : lineForm(endpoint);
}

/** Server-Sent Events only for those who name them, and not with less weight than NDJSON. */
function prefersEvents(accept = ""): boolean {
  let events = 0;
  let lines = 0;
  for (const range of accept.toLowerCase().split(",")) {
    const [type, ...parameters] = range.split(";").map((part) => part.trim());
    const quality = parameters.find((parameter) => parameter.startsWith("q="))?.slice(2) ?? "1";
    if (type === "text/event-stream") events = Number(quality);
    if (type === "application/x-ndjson" || type === "application/jsonl") lines = Number(quality);
  }
  return events > 0 && events >= lines;
}

function eventForm({ response, eventId, eventName }: Endpoint): StreamForm {
  return {
    contentType: () => "text/event-stream",
    flushes: true,
    keepAlive: ": keep-alive\n\n",
    write(message) {
      const fields = message as unknown as MessageFields;
      const id = eventId === undefined ? "" : `id: ${singleLine(getField(fields, eventId))}\n`;
      const set = eventName === undefined ? undefined : oneofCase(fields, eventName.localName);
      const name = eventName?.fields.find((field) => field.localName === set)?.name;
      const event = name === undefined ? "" : `event: ${name}\n`;
      return `${id}${event}data: ${JSON.stringify(response.json?.(message))}\n\n`;
    },
    error: (status) => `event: error\ndata: ${JSON.stringify(status)}\n\n`,
  };
}

function lineForm({ response }: Endpoint): StreamForm {
  return {
    contentType: () => "application/x-ndjson",
    flushes: true,
    write: (message) => `${JSON.stringify(response.json?.(message))}\n`,
    error: (status) => `${JSON.stringify({ error: status })}\n`,
  };
}

function rawForm({ response }: Endpoint): StreamForm {
  return {
    contentType: (first) =>
      (first === undefined ? undefined : response.raw?.(first).contentType) ??
      "application/octet-stream",
    flushes: false,
    write: (message) => response.raw?.(message).data ?? "",
  };
}

function oneofCase(fields: MessageFields, localName: string): string | undefined {
  return (fields[localName] as { case?: string } | undefined)?.case;
}

function singleLine(value: unknown): string {
  // oxlint-disable-next-line no-control-regex -- the characters that would end the line
  return String(value ?? "").replaceAll(/[\r\n\0]/g, "");
}
