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
}

/** The outermost interceptor and a count of the calls that it sees. */
export interface CallInterceptor {
  interceptor: Interceptor;
  /** Calls being served now. */
  inFlight(): number;
}

type Request = UnaryRequest | StreamRequest;
type Response = UnaryResponse | StreamResponse;

/** Makes the interceptor that must come first in every chain. */
export function createCallInterceptor({ log }: CallInterceptorOptions): CallInterceptor {
  let inFlight = 0;

  function end(call: Call, request: Request, error: ConnectError | undefined, messages?: number) {
    inFlight -= 1;
    logCall(log, call, rpcName(request), error, messages);
  }

  const interceptor: Interceptor = (next) =>
    async function serve(request): Promise<Response> {
      const call = callOf(request);
      inFlight += 1;
      let response: Response;
      try {
        response = await beforeDeadline(next(request), request.signal);
      } catch (reason) {
        const error = toConnectError(reason, call.requestId, request.signal);
        end(call, request, error);
        throw error;
      }
      if (!response.stream) {
        end(call, request, undefined);
        return response;
      }
      const message = followStream(
        response.message,
        call.requestId,
        request.signal,
        (error, messages) => end(call, request, error, messages),
      );
      return { ...response, message };
    };
  return { interceptor, inFlight: () => inFlight };
}

/** Writes a call's log line, once. */
export function logCall(
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
  if (messages !== undefined) entry.messages = messages;
  if (error) {
    entry.message = error.rawMessage;
    if (error.cause !== undefined) entry.cause = error.cause;
  }
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
 * Gives the call up when its signal aborts. The signal also aborts when the
 * caller has left; then nobody waits for the answer, and the handler, which
 * finishes on its own, has nobody to tell.
 */
function beforeDeadline(pending: Promise<Response>, signal: AbortSignal): Promise<Response> {
  return new Promise((resolve, reject) => {
    const giveUp = () => reject(signal.reason as Error);
    if (signal.aborted) giveUp();
    else signal.addEventListener("abort", giveUp);
    pending.then(
      (response) => {
        signal.removeEventListener("abort", giveUp);
        return resolve(response);
      },
      (reason: unknown) => {
        signal.removeEventListener("abort", giveUp);
        reject(reason as Error);
      },
    );
  });
}

/**
 * Maps the errors of a response stream, ends it when the call's signal aborts and
 * reports its end, which is also told when the caller went away: then the door
 * calls `return`.
 */
function followStream<T>(
  messages: AsyncIterable<T>,
  requestId: string,
  signal: AbortSignal,
  onEnd: (error: ConnectError | undefined, messages: number) => void,
): AsyncIterable<T> {
  const source = messages[Symbol.asyncIterator]();
  let count = 0;
  let ended = false;
  let rejectWaiting: ((reason: ConnectError) => void) | undefined;

  function end(error?: ConnectError) {
    if (ended) return;
    ended = true;
    signal.removeEventListener("abort", giveUp);
    onEnd(error, count);
  }
  function giveUp() {
    const error = toConnectError(signal.reason, requestId, signal);
    end(error);
    rejectWaiting?.(error);
    // Runs the handler's `finally` as soon as it lets go; nobody waits for it.
    source.return?.().catch(() => undefined);
  }
  if (signal.aborted) giveUp();
  else signal.addEventListener("abort", giveUp);

  const iterator: AsyncIterator<T> = {
    next: () =>
      new Promise((resolve, reject) => {
        if (ended) {
          if (signal.aborted) reject(toConnectError(signal.reason, requestId, signal));
          else resolve({ done: true, value: undefined });
          return;
        }
        rejectWaiting = reject;
        source.next().then(
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
