/** How a gRPC call is answered: headers, messages, and exactly one status. */
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { Metadata, type ServerInterceptingCallInterface } from "@grpc/grpc-js";
import type { Call } from "../call.ts";
import { toConnectError } from "../errors.ts";
import type { CallContext, InvocableMethod } from "../invoke.ts";
import { writeMessage } from "./codec.ts";
import { addHeaders, metadataWithRequestId } from "./metadata.ts";
import { statusFromError } from "./status.ts";

/** The answer to one call. */
export interface Reply {
  /** Whether a status was sent or the caller is gone. */
  readonly finished: boolean;
  /** From here on the call has a context; whatever aborts its signal ends the call. */
  attach(context: CallContext): void;
  /** Runs a unary method. */
  unary(method: InvocableMethod, request: Message): void;
  /** Runs any other method. */
  stream(method: InvocableMethod, requests: AsyncIterable<Message>): void;
  /** Ends the call with an error. */
  fail(reason: unknown): void;
  /** The caller went away. */
  leave(): void;
}

export interface ReplyOptions {
  call: Call;
  /** Writes the log line of a call that ended before the interceptors saw it. */
  logRefusal(error: ConnectError): void;
}

/** How many bytes of a response stream may wait for a slow caller. */
const maxUnsentBytes = 256 * 1024;
const callEnded = new ConnectError("the call has ended", Code.Canceled);
const callerGone = new ConnectError("the caller went away", Code.Canceled);

/** @param grpc the call as grpc-js made it; its `sendStatus` is the original one. */
export function createReply(grpc: ServerInterceptingCallInterface, options: ReplyOptions): Reply {
  const { call } = options;
  const sendStatus = grpc.sendStatus.bind(grpc);
  let context: CallContext | undefined;

  function finish(reason: unknown): void {
    reply.finished = true;
    const ended = context;
    if (!ended) return;
    // Node keeps the stream, and grpc-js this closure, until the next full garbage collection.
    context = undefined;
    ended.signal.removeEventListener("abort", giveUp);
    ended.abort(reason);
  }
  function giveUp(): void {
    fail(context?.signal.reason);
  }
  function fail(reason: unknown): void {
    if (reply.finished) return;
    const error = toConnectError(reason, call.requestId, context?.signal);
    const status = statusFromError(error, call.requestId);
    // What a handler had to say before it failed; the other doors send it too.
    if (context) addHeaders(status.metadata, context.responseHeader);
    sendStatus(status);
    if (!context) options.logRefusal(error);
    finish(error);
  }
  function sendHeaders(headers: Headers): void {
    grpc.sendMetadata(addHeaders(metadataWithRequestId(call.requestId), headers));
  }
  function succeed(trailer: Headers): void {
    sendStatus({ code: 0, details: "OK", metadata: addHeaders(new Metadata(), trailer) });
    finish(callEnded);
  }

  const reply = {
    finished: false,
    attach(opened: CallContext) {
      context = opened;
      opened.signal.addEventListener("abort", giveUp);
    },
    unary(method: InvocableMethod, request: Message) {
      void answer(method, request);
    },
    stream(method: InvocableMethod, requests: AsyncIterable<Message>) {
      void answerStream(method, requests);
    },
    fail,
    leave() {
      if (!reply.finished) finish(callerGone);
    },
  };

  async function answer(method: InvocableMethod, request: Message): Promise<void> {
    const opened = context;
    if (!opened) return;
    try {
      const response = await method.invokeUnary(request, opened);
      if (reply.finished) return;
      const bytes = writeMessage(method.method.output, response);
      sendHeaders(opened.responseHeader);
      grpc.sendMessage(bytes, nothing);
      succeed(opened.responseTrailer);
    } catch (reason) {
      fail(reason);
    }
  }

  async function answerStream(
    method: InvocableMethod,
    requests: AsyncIterable<Message>,
  ): Promise<void> {
    if (!context) return;
    const { signal, responseHeader, responseTrailer } = context;
    const responses = method.invokeStream(requests, context)[Symbol.asyncIterator]();
    let headersSent = false;
    let unsentBytes = 0;
    let resume = nothing;
    signal.addEventListener("abort", () => resume());
    try {
      for (;;) {
        const response = await responses.next();
        if (reply.finished) break;
        if (!headersSent) sendHeaders(responseHeader);
        headersSent = true;
        if (response.done) {
          succeed(responseTrailer);
          return;
        }
        const bytes = writeMessage(method.method.output, response.value);
        unsentBytes += bytes.byteLength;
        grpc.sendMessage(bytes, () => {
          unsentBytes -= bytes.byteLength;
          if (unsentBytes <= maxUnsentBytes) resume();
        });
        if (unsentBytes > maxUnsentBytes && !signal.aborted) {
          await new Promise<void>((resolve) => {
            resume = resolve;
          });
        }
      }
      // The caller left: lets the handler's `finally` run.
      await responses.return?.();
    } catch (reason) {
      fail(reason);
    }
  }
  return reply;
}

function nothing(): void {}
