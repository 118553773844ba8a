/** Serves methods that stream requests, responses, or both. */
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import type { CallContext } from "../rpc/invoke.ts";
import { sendMessage } from "./answer.ts";
import { copyHeaders, openContext, sendError, type Call, type Serving } from "./call.ts";
import { hasBody, readBytes } from "./request-bytes.ts";
import { readStream } from "./stream-input.ts";
import { writeStream } from "./stream-writer.ts";

const noBytes = Buffer.alloc(0);

/** Serves a server stream, with one request message or a stream of them. Never throws. */
export async function serveResponseStream(call: Call, serving: Serving): Promise<void> {
  try {
    const messages = await requestMessages(call, serving);
    const context = openContext(call, serving);
    await writeStream(
      call.endpoint.invocable.invokeStream(messages, context),
      call,
      context,
      serving,
    );
  } catch (error) {
    sendError(error, call, serving);
  }
}

/** Serves a client stream with one response. Never throws. */
export async function serveRequestStream(call: Call, serving: Serving): Promise<void> {
  const { endpoint, reply } = call;
  let context: CallContext | undefined;
  try {
    context = openContext(call, serving);
    const { signal } = context;
    signal.addEventListener("abort", () => {
      if (!reply.raw.destroyed) sendError(signal.reason, call, serving);
    });
    const messages = readStream(call, serving.settings.maxRequestBytes);
    let response: Message | undefined;
    for await (const message of endpoint.invocable.invokeStream(messages, context)) {
      response ??= message;
    }
    if (response === undefined) throw new ConnectError("no response", Code.Internal);
    if (reply.sent) return;
    const { header, trailer } = context.answered();
    copyHeaders(header, reply);
    copyHeaders(trailer, reply);
    sendMessage(response, call, serving);
  } catch (error) {
    if (context !== undefined && !reply.sent) copyHeaders(context.answered().header, reply);
    sendError(error, call, serving);
  }
}

async function requestMessages(call: Call, serving: Serving): Promise<AsyncIterable<Message>> {
  const { endpoint, request, segments, query } = call;
  const { maxRequestBytes } = serving.settings;
  if (endpoint.rule.method.methodKind === "bidi_streaming") {
    return readStream(call, maxRequestBytes);
  }
  const { raw } = request;
  const { headers } = raw;
  const bytes = hasBody(headers) ? await readBytes(raw, headers, maxRequestBytes) : noBytes;
  return single(endpoint.readMessage(bytes, { segments, query, headers }));
}

async function* single(message: Message): AsyncGenerator<Message> {
  yield message;
}
