/** Serves methods with one request and one response message. */
import type { Message } from "@bufbuild/protobuf";
import type { CallContext } from "../rpc/invoke.ts";
import { sendMessage } from "./answer.ts";
import { copyHeaders, openContext, sendError, type Call, type Serving } from "./call.ts";
import { checkPrecondition, hasPrecondition } from "./precondition.ts";
import { hasBody, readBytes } from "./request-bytes.ts";

const noBytes = Buffer.alloc(0);

/** Serves a unary call. Never throws: the error is the answer. */
export function serveUnary(call: Call, serving: Serving): void {
  const { raw } = call.request;
  if (!hasBody(raw.headers)) {
    begin(call, noBytes, serving);
    return;
  }
  readBytes(raw, raw.headers, serving.settings.maxRequestBytes).then(
    (bytes) => begin(call, bytes, serving),
    (error: unknown) => fail(error, call, serving),
  );
}

function begin(call: Call, bytes: Buffer, serving: Serving): void {
  const { endpoint, request, segments, query } = call;
  try {
    const { headers } = request.raw;
    const message = endpoint.readMessage(bytes, { segments, query, headers });
    if (!hasPrecondition(call)) {
      invoke(message, call, serving);
      return;
    }
    checkPrecondition(message, call, serving)
      .then(() => invoke(message, call, serving))
      .catch((error: unknown) => fail(error, call, serving));
  } catch (error) {
    fail(error, call, serving);
  }
}

function invoke(message: Message, call: Call, serving: Serving): void {
  const context = openContext(call, serving);
  const answer = call.endpoint.invocable.invokeUnary(message, context);
  // Whoever listens to the signal inside of the call goes first.
  if (context.timeoutMs() !== undefined) giveUpOnAbort(call, context, serving);
  answer.then(
    (response) => succeed(response, context, call, serving),
    (error: unknown) => fail(error, call, serving, context),
  );
}

/** Answers at the deadline, also if the handler goes on. */
function giveUpOnAbort(call: Call, context: CallContext, serving: Serving): void {
  const { signal } = context;
  const giveUp = (): void => {
    if (!call.reply.raw.destroyed) fail(signal.reason, call, serving, context);
  };
  if (signal.aborted) giveUp();
  else signal.addEventListener("abort", giveUp);
}

function succeed(message: Message, context: CallContext, call: Call, serving: Serving): void {
  if (call.reply.sent) return;
  try {
    const { header, trailer } = context.answered();
    copyHeaders(header, call.reply);
    copyHeaders(trailer, call.reply);
    sendMessage(message, call, serving);
  } catch (error) {
    fail(error, call, serving);
  }
}

function fail(error: unknown, call: Call, serving: Serving, context?: CallContext): void {
  if (call.reply.sent) return;
  if (context !== undefined) copyHeaders(context.answered().header, call.reply);
  sendError(error, call, serving);
}
