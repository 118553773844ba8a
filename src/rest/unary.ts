/** Serves methods with one request and one response message. */
import type { Message } from "@bufbuild/protobuf";
import type { CallContext } from "../rpc/invoke.ts";
import { copyHeaders, openContext, sendError, type Call, type Serving } from "./call.ts";
import { hasBody, readBytes } from "./request-bytes.ts";

const noBytes = Buffer.alloc(0);

/** Serves a unary call. Never throws: the error is the answer. */
export async function serveUnary(call: Call, serving: Serving): Promise<void> {
  const { endpoint, request, reply, segments, query } = call;
  const { headers } = request.raw;
  let context: CallContext | undefined;
  try {
    const bytes = hasBody(headers)
      ? await readBytes(request.raw, headers, serving.settings.maxRequestBytes)
      : noBytes;
    const message = endpoint.readMessage(bytes, { segments, query, headers });
    context = openContext(call, serving);
    if (context.timeoutMs() !== undefined) {
      const { signal } = context;
      signal.addEventListener("abort", () => sendError(signal.reason, call, serving));
    }
    const response = await endpoint.invocable.invokeUnary(message, context);
    if (reply.sent) return;
    copyHeaders(context.responseHeader, reply);
    copyHeaders(context.responseTrailer, reply);
    sendMessage(response, call);
  } catch (error) {
    if (reply.sent) return;
    if (context !== undefined) copyHeaders(context.responseHeader, reply);
    sendError(error, call, serving);
  }
}

/** Sends a response message. */
export function sendMessage(message: Message, { endpoint, reply }: Call): void {
  const { response } = endpoint;
  if (response.raw === undefined) {
    reply.type("application/json").send(JSON.stringify(response.json(message)));
  } else {
    const { contentType, data } = response.raw(message);
    reply.type(contentType).send(data);
  }
}
