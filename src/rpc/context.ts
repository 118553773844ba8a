/**
 * The handler context of a call. Connect's own makes three abort controllers and
 * copies all headers; this one copies none, and makes what a handler or an
 * interceptor may ask for when it is asked for.
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
  /** The response headers and trailers, as far as somebody has asked for them. */
  answered(): { header: Headers | undefined; trailer: Headers | undefined };
}

// One object each: an error's stack trace costs more than the call.
const callIsOver = new ConnectError("the call is over", Code.Canceled);
const deadlineExceeded = new ConnectError("the operation timed out", Code.DeadlineExceeded);

export function createCallContext(method: DescMethod, init: CallInit): CallContext {
  const { requestSignal, timeoutMs } = init;
  const deadline = timeoutMs === undefined ? undefined : Date.now() + timeoutMs;
  let controller: AbortController | undefined;
  let isOver = false;
  let endReason: unknown;
  let timer: NodeJS.Timeout | undefined;
  let header: Headers | undefined;
  let trailer: Headers | undefined;
  let values = init.contextValues;

  function abort(reason: unknown = callIsOver): void {
    if (isOver) return;
    isOver = true;
    endReason = reason;
    if (timer !== undefined) clearTimeout(timer);
    requestSignal?.removeEventListener("abort", leave);
    controller?.abort(reason);
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
    get url() {
      return init.url;
    },
    get requestHeader() {
      return init.requestHeader;
    },
    get responseHeader() {
      return (header ??= new Headers());
    },
    get responseTrailer() {
      return (trailer ??= new Headers());
    },
    get values() {
      return (values ??= createContextValues());
    },
    get signal() {
      if (controller === undefined) {
        controller = new AbortController();
        if (isOver) controller.abort(endReason);
      }
      return controller.signal;
    },
    timeoutMs: () => (deadline === undefined ? undefined : deadline - Date.now()),
    abort,
    answered: () => ({ header, trailer }),
  };
}
