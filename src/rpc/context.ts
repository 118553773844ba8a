/**
 * The handler context of a call. Connect's own makes three abort controllers and
 * copies all headers; this one makes one and copies none.
 */
import type { DescMethod } from "@bufbuild/protobuf";
import {
  Code,
  ConnectError,
  type ContextValues,
  createContextValues,
  type HandlerContext,
} from "@connectrpc/connect";

/** What a door knows of a call. */
export interface CallInit {
  /** `grpc` or `rest`; becomes HandlerContext.protocolName. */
  protocolName: string;
  requestMethod: string;
  url: string;
  requestHeader: Headers;
  /** Aborts when the client goes away. */
  requestSignal?: AbortSignal;
  /** The deadline, in milliseconds from now. */
  timeoutMs?: number;
  /** For interceptors and handlers; Tribe's doors put their `Call` (call.ts) here. */
  contextValues?: ContextValues;
}

/** The context of a call. Whoever made it must `abort()` it when the call is over. */
export interface CallContext extends HandlerContext {
  /** Aborts the signal, once, and ends the deadline. */
  abort(reason?: unknown): void;
}

// One object each: an error's stack trace costs more than the call.
const callIsOver = new ConnectError("the call is over", Code.Canceled);
const deadlineExceeded = new ConnectError("the operation timed out", Code.DeadlineExceeded);

export function createCallContext(method: DescMethod, init: CallInit): CallContext {
  const { requestSignal, timeoutMs } = init;
  const controller = new AbortController();
  const deadline = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
  let timer: NodeJS.Timeout | undefined;

  function abort(reason: unknown = callIsOver): void {
    if (controller.signal.aborted) return;
    clearTimeout(timer);
    requestSignal?.removeEventListener("abort", leave);
    controller.abort(reason);
  }
  function leave(): void {
    abort(requestSignal?.reason);
  }
  if (timeoutMs !== undefined) timer = setTimeout(abort, timeoutMs, deadlineExceeded);
  if (requestSignal?.aborted) leave();
  else requestSignal?.addEventListener("abort", leave);

  return {
    service: method.parent,
    method,
    protocolName: init.protocolName,
    requestMethod: init.requestMethod,
    url: init.url,
    requestHeader: init.requestHeader,
    responseHeader: new Headers(),
    responseTrailer: new Headers(),
    values: init.contextValues ?? createContextValues(),
    signal: controller.signal,
    timeoutMs: () => (deadline === undefined ? undefined : deadline - Date.now()),
    abort,
  };
}
