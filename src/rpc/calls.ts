/**
 * The outermost interceptor: one log line per call, one form of error, and a
 * deadline that holds even if a handler does not listen to its signal. One
 * interceptor rather than three: each layer costs every call.
 */
import {
  type ConnectError,
  type Interceptor,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { type Call, callKey, createCall, type CallFacts } from "./call.ts";
import type { CallTrace, TraceCall } from "./call-trace.ts";
import { codeName, toConnectError } from "./errors.ts";

/** One log line: what was called and how it ended. No content, no secret. */
export interface CallEntry extends CallFacts {
  door: string;
  /** `tribe.v1.ChatService/SendMessage`, or method and path of a request that met no RPC. */
  rpc: string;
  /** Name of the gRPC status code. */
  code: string;
  durationMs: number;
  requestId: string;
  traceId?: string;
  /** Messages of a response stream. */
  messages?: number;
  /** What the caller was told. */
  message?: string;
  /** What it really was. Never sent. */
  cause?: unknown;
}

export interface CallInterceptorOptions {
  /** Takes the log line of a call. Must not throw. */
  log(entry: CallEntry): void;
  /** Finds the trace that a call belongs to. Default: calls belong to none. */
  trace?: TraceCall | undefined;
}

/** The outermost interceptor and the calls that it sees. */
export interface CallInterceptor {
  interceptor: Interceptor;
  /** Calls being served now. */
  inFlight(): number;
  /** Ends all calls being served, whatever their handlers do. */
  endAll(reason: unknown): void;
}

type Request = UnaryRequest | StreamRequest;
type Response = UnaryResponse | StreamResponse;
type GiveUp = (reason: unknown) => void;

/**
 * A call being served, in the set of all. Whoever leaves the set empties it: V8 chains the tables
 * that a busy Set has outgrown, so that an old one keeps alive what all later ones held until the
 * next full collection. Then every call would grow old.
 */
interface ActiveCall {
  giveUp: GiveUp | undefined;
}

/** Makes the interceptor that must come first in every chain. */
export function createCallInterceptor({ log, trace }: CallInterceptorOptions): CallInterceptor {
  const active = new Set<ActiveCall>();

  const interceptor: Interceptor = (next) =>
    async function serve(request): Promise<Response> {
      const call = callOf(request);
      call.served = true;
      const { signal } = request;
      const span = trace && begin(trace, call, request);
      let response: Response;
      try {
        const pending = span === undefined ? next(request) : span.run(() => next(request));
        response = await untilGivenUp(pending, signal, active);
      } catch (reason) {
        const error = toConnectError(reason, call.requestId, signal);
        logCall(log, call, rpcName(request), error);
        throw error;
      }
      if (!response.stream) {
        logCall(log, call, rpcName(request), undefined);
        return response;
      }
      const message = followStream(response.message, {
        signal,
        active,
        requestId: call.requestId,
        span,
        onEnd: (error, messages) => logCall(log, call, rpcName(request), error, messages),
      });
      return { ...response, message };
    };
  return {
    interceptor,
    inFlight: () => active.size,
    endAll(reason) {
      for (const call of active) call.giveUp?.(reason);
    },
  };
}

function begin(trace: TraceCall, call: Call, request: Request): CallTrace["span"] {
  const { door, requestId } = call;
  call.trace = trace({ rpc: rpcName(request), door, requestId, header: request.header });
  return call.trace?.span;
}

/** Writes the log line of a call that ended before the interceptors saw it. */
export function logRefusal(
  log: (entry: CallEntry) => void,
  call: Call,
  rpc: string,
  error: ConnectError | undefined,
): void {
  if (!call.served) logCall(log, call, rpc, error);
}

function logCall(
  log: (entry: CallEntry) => void,
  call: Call,
  rpc: string,
  error: ConnectError | undefined,
  messages?: number,
): void {
  if (call.logged) return;
  call.logged = true;
  const entry: CallEntry = {
    door: call.door,
    rpc,
    code: error ? codeName(error.code) : "OK",
    durationMs: Math.round((performance.now() - call.startedAt) * 100) / 100,
    requestId: call.requestId,
    ...call.facts,
  };
  if (call.trace !== undefined) entry.traceId = call.trace.traceId;
  if (messages !== undefined) entry.messages = messages;
  if (error) {
    entry.message = error.rawMessage;
    if (error.cause !== undefined) entry.cause = error.cause;
  }
  call.trace?.span?.end(entry);
  log(entry);
}

function callOf(request: Request): Call {
  let call = request.contextValues.get(callKey);
  if (!call) {
    call = createCall("connect", request.header.get("x-request-id"));
    request.contextValues.set(callKey, call);
  }
  return call;
}

const rpcNames = new WeakMap<object, string>();
function rpcName({ method }: Request): string {
  let name = rpcNames.get(method);
  if (name === undefined) {
    name = `${method.parent.typeName}/${method.name}`;
    rpcNames.set(method, name);
  }
  return name;
}

/**
 * Gives the call up when its signal aborts, at its deadline or because the caller
 * has left; then nobody waits for the answer, and the handler, which finishes on
 * its own, has nobody to tell.
 */
function untilGivenUp(
  pending: Promise<Response>,
  signal: AbortSignal,
  active: Set<ActiveCall>,
): Promise<Response> {
  return new Promise((resolve, reject) => {
    const giveUp: GiveUp = (reason) => {
      settle();
      reject(reason as Error);
    };
    const call: ActiveCall = { giveUp };
    const onAbort = () => giveUp(signal.reason);
    const settle = () => {
      active.delete(call);
      call.giveUp = undefined;
      signal.removeEventListener("abort", onAbort);
    };
    active.add(call);
    if (signal.aborted) onAbort();
    else signal.addEventListener("abort", onAbort);
    pending.then((response) => {
      settle();
      return resolve(response);
    }, giveUp);
  });
}

interface FollowOptions {
  signal: AbortSignal;
  active: Set<ActiveCall>;
  requestId: string;
  /** What the handler does between two messages is its work. */
  span: CallTrace["span"];
  onEnd(error: ConnectError | undefined, messages: number): void;
}

/**
 * Maps the errors of a response stream, ends it when the call is given up and
 * reports its end, which is also told when the caller went away: then the door
 * calls `return`.
 */
function followStream<T>(messages: AsyncIterable<T>, options: FollowOptions): AsyncIterable<T> {
  const { signal, active, requestId, span } = options;
  const source = messages[Symbol.asyncIterator]();
  let count = 0;
  let ended: { error: ConnectError | undefined } | undefined;
  let rejectWaiting: GiveUp | undefined;

  function end(error?: ConnectError): void {
    if (ended) return;
    ended = { error };
    active.delete(call);
    call.giveUp = undefined;
    signal.removeEventListener("abort", onAbort);
    options.onEnd(error, count);
  }
  function giveUp(reason: unknown): void {
    const error = toConnectError(reason, requestId, signal);
    end(error);
    rejectWaiting?.(error);
    // Runs the handler's `finally` as soon as it lets go; nobody waits for it.
    source.return?.().catch(() => undefined);
  }
  function onAbort(): void {
    giveUp(signal.reason);
  }
  const call: ActiveCall = { giveUp };
  active.add(call);
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort);

  const iterator: AsyncIterator<T> = {
    next: () =>
      new Promise((resolve, reject) => {
        if (ended) {
          if (ended.error) reject(ended.error);
          else resolve({ done: true, value: undefined });
          return;
        }
        rejectWaiting = reject;
        const pending = span === undefined ? source.next() : span.run(() => source.next());
        pending.then(
          (result) => {
            if (result.done) end();
            else count += 1;
            return resolve(result);
          },
          (reason: unknown) => {
            const error = toConnectError(reason, requestId, signal);
            end(error);
            reject(error);
          },
        );
      }),
    async return(value?: unknown) {
      end(signal.aborted ? toConnectError(signal.reason, requestId, signal) : undefined);
      await source.return?.(value);
      return { done: true, value };
    },
  };
  return { [Symbol.asyncIterator]: () => iterator };
}
