/** Serves methods with one request and one response message. */
import type { Message } from "@bufbuild/protobuf";
import type { CallContext } from "../rpc/invoke.ts";
import {
  copyHeaders,
  jsonContentType,
  openContext,
  sendError,
  type Call,
  type Serving,
} from "./call.ts";
import { hasBody, readBytes } from "./request-bytes.ts";

const noBytes = Buffer.alloc(0);

/** Serves a unary call. Never throws: the error is the answer. */
export function serveUnary(call: Call, serving: Serving): void {
  const { raw } = call.request;
  if (!hasBody(raw.headers)) {
    invoke(call, noBytes, serving);
    return;
  }
  readBytes(raw, raw.headers, serving.settings.maxRequestBytes)
    .then((bytes) => invoke(call, bytes, serving))
    .catch((error: unknown) => sendError(error, call, serving));
}

function invoke(call: Call, bytes: Buffer, serving: Serving): void {
  const { endpoint, request, segments, query } = call;
  let context: CallContext | undefined;
  try {
    const { headers } = request.raw;
    const message = endpoint.readMessage(bytes, { segments, query, headers });
    const opened = openContext(call, serving);
    context = opened;
    if (opened.timeoutMs() !== undefined) {
      opened.signal.addEventListener("abort", () => fail(opened.signal.reason, call, serving));
    }
    endpoint.invocable
      .invokeUnary(message, opened)
      .then((response) => succeed(response, opened, call))
      .catch((error: unknown) => fail(error, call, serving, opened));
  } catch (error) {
    fail(error, call, serving, context);
  }
}

function succeed(message: Message, context: CallContext, call: Call): void {
  if (call.reply.sent) return;
  copyHeaders(context.responseHeader, call.reply);
  copyHeaders(context.responseTrailer, call.reply);
  sendMessage(message, call);
}

function fail(error: unknown, call: Call, serving: Serving, context?: CallContext): void {
  if (call.reply.sent) return;
  if (context !== undefined) copyHeaders(context.responseHeader, call.reply);
  sendError(error, call, serving);
}

/** Sends a response message. */
export function sendMessage(message: Message, { endpoint, reply }: Call): void {
  const { response } = endpoint;
  if (response.raw === undefined) {
    reply.type(jsonContentType).send(JSON.stringify(response.json(message)));
  } else {
    const { contentType, data } = response.raw(message);
    reply.type(contentType).send(data);
  }
}
