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
  /** A function is called when somebody asks. */
  url: string | (() => string);
  requestHeader: Headers | (() => Headers);
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

/** Makes the context of a call. */
export function createCallContext(method: DescMethod, init: CallInit): CallContext {
  return new LazyContext(method, init);
}

/**
 * A class because accessors on a prototype cost nothing to make, while V8 keeps whatever those of
 * an object literal can see until the next full collection, and so makes every call grow old. The
 * same befalls an instance with a function of its own, so all functions are on the prototype.
 */
class LazyContext implements CallContext {
  readonly service: DescMethod["parent"];
  readonly method: DescMethod;
  readonly protocolName: string;
  readonly requestMethod: string;
  private readonly init: CallInit;
  private readonly deadline: number | undefined;
  private timer: NodeJS.Timeout | undefined;
  private controller: AbortController | undefined;
  private isOver = false;
  private endReason: unknown;
  private askedHeader: Headers | undefined;
  private header: Headers | undefined;
  private trailer: Headers | undefined;
  private contextValues: ContextValues | undefined;

  constructor(method: DescMethod, init: CallInit) {
    const { requestSignal, timeoutMs } = init;
    this.service = method.parent;
    this.method = method;
    this.protocolName = init.protocolName;
    this.requestMethod = init.requestMethod;
    this.init = init;
    this.contextValues = init.contextValues;
    if (timeoutMs !== undefined) {
      this.deadline = Date.now() + timeoutMs;
      this.timer = setTimeout(endLate, timeoutMs, this);
    }
    if (requestSignal === undefined) return;
    if (requestSignal.aborted) this.handleEvent();
    else requestSignal.addEventListener("abort", this);
  }

  /** The time that is left, in milliseconds. */
  timeoutMs(): number | undefined {
    return this.deadline === undefined ? undefined : this.deadline - Date.now();
  }

  /** The caller has left: makes the context a listener of the request's signal. */
  handleEvent(): void {
    this.abort(this.init.requestSignal?.reason);
  }

  get url(): string {
    const { url } = this.init;
    return typeof url === "string" ? url : url();
  }
  get requestHeader(): Headers {
    const { requestHeader } = this.init;
    return (this.askedHeader ??=
      typeof requestHeader === "function" ? requestHeader() : requestHeader);
  }
  get responseHeader(): Headers {
    return (this.header ??= new Headers());
  }
  get responseTrailer(): Headers {
    return (this.trailer ??= new Headers());
  }
  get values(): ContextValues {
    return (this.contextValues ??= createContextValues());
  }
  get signal(): AbortSignal {
    if (this.controller === undefined) {
      this.controller = new AbortController();
      if (this.isOver) this.controller.abort(this.endReason);
    }
    return this.controller.signal;
  }

  abort(reason: unknown = callIsOver): void {
    if (this.isOver) return;
    this.isOver = true;
    this.endReason = reason;
    if (this.timer !== undefined) clearTimeout(this.timer);
    this.init.requestSignal?.removeEventListener("abort", this);
    this.controller?.abort(reason);
  }

  answered(): { header: Headers | undefined; trailer: Headers | undefined } {
    return { header: this.header, trailer: this.trailer };
  }
}

function endLate(context: LazyContext): void {
  context.abort(deadlineExceeded);
}
