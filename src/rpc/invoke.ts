/**
 * Calls a Connect handler through its interceptors, without an HTTP protocol of
 * Connect's around it: what the gRPC door and the REST transcoder are built on.
 *
 * Connect wraps a handler in its interceptors anew for every call; here it is
 * done once per method, so an interceptor keeps nothing of a call in the closure
 * around its inner function.
 */
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  type Message,
  type MessageInitShape,
} from "@bufbuild/protobuf";
import {
  type ConnectRouter,
  createContextKey,
  createMethodImplSpec,
  createServiceImplSpec,
  type HandlerContext,
  type Interceptor,
  type MethodImplSpec,
  type StreamRequest,
  type StreamResponse,
  type UnaryRequest,
  type UnaryResponse,
} from "@connectrpc/connect";
import { type CallContext, type CallInit, createCallContext } from "./context.ts";
import { deferred, followed, iterate, mapped, onlyMessage } from "./iterables.ts";

export type { CallContext, CallInit } from "./context.ts";

/** One method with its handler and interceptors. */
export interface InvocableMethod {
  readonly method: DescMethod;
  createContext(init: CallInit): CallContext;
  /** For unary methods. */
  invokeUnary(message: Message, context: HandlerContext): Promise<Message>;
  /** For every kind of method. */
  invokeStream(messages: AsyncIterable<Message>, context: HandlerContext): AsyncIterable<Message>;
}

/** Registers handlers, as for `createConnectRouter`. */
export type Routes = (router: ConnectRouter) => void;

/** Collects the methods that `routes` registers. The first interceptor is the outermost. */
export function collectMethods(
  routes: Routes,
  interceptors: Interceptor[] = [],
): InvocableMethod[] {
  const methods: InvocableMethod[] = [];
  const router: ConnectRouter = {
    handlers: [],
    service(service: DescService, implementation) {
      const specs = createServiceImplSpec(service, implementation).methods;
      for (const spec of Object.values(specs)) methods.push(invocable(spec, interceptors));
      return router;
    },
    rpc(method, implementation) {
      methods.push(invocable(createMethodImplSpec(method, implementation), interceptors));
      return router;
    },
  };
  routes(router);
  return methods;
}

type Request = UnaryRequest | StreamRequest;
type Response = UnaryResponse | StreamResponse;
type Invoke = (request: Request) => Promise<Response>;

const contextKey = createContextKey<HandlerContext | undefined>(undefined, {
  description: "the context that the door has made",
});

function invocable(spec: MethodImplSpec, interceptors: Interceptor[]): InvocableMethod {
  const { method } = spec;
  let invoke = handlerOf(spec);
  for (const interceptor of interceptors.toReversed()) invoke = interceptor(invoke);

  return {
    method,
    createContext: (init) => createCallContext(method, init),
    async invokeUnary(message, context) {
      if (spec.kind !== "unary") throw new TypeError(`${method.name} is not unary`);
      if (interceptors.length === 0) {
        return create(method.output, await spec.impl(message, context));
      }
      const request = requestOf(context, method, false, message) as UnaryRequest;
      const response = (await invoke(request)) as UnaryResponse;
      replaceHeaders(context.responseHeader, response.header);
      replaceHeaders(context.responseTrailer, response.trailer);
      return response.message;
    },
    invokeStream(messages, context) {
      if (spec.kind === "unary") {
        return deferred(async () => {
          const message = await onlyMessage(messages, method);
          return iterate(await this.invokeUnary(message, context));
        });
      }
      return deferred(async () => {
        const request = requestOf(context, method, true, messages) as StreamRequest;
        const response = (await invoke(request)) as StreamResponse;
        replaceHeaders(context.responseHeader, response.header);
        if (response.trailer === context.responseTrailer) return response.message;
        return followed(response.message, () =>
          replaceHeaders(context.responseTrailer, response.trailer),
        );
      });
    },
  };
}

function requestOf(context: HandlerContext, method: DescMethod, stream: boolean, message: unknown) {
  context.values.set(contextKey, context);
  return {
    stream,
    message,
    method,
    service: method.parent,
    requestMethod: context.requestMethod,
    url: context.url,
    signal: context.signal,
    header: context.requestHeader,
    contextValues: context.values,
  };
}

/** The context for the handler, with what interceptors have replaced. */
function contextOf(request: Request): HandlerContext {
  const context = request.contextValues.get(contextKey);
  if (!context) throw new TypeError("an interceptor has lost the context values of the call");
  const unchanged =
    request.header === context.requestHeader &&
    request.signal === context.signal &&
    request.contextValues === context.values;
  if (unchanged) return context;
  const { header: requestHeader, signal, contextValues: values } = request;
  return {
    service: context.service,
    method: context.method,
    protocolName: context.protocolName,
    requestMethod: context.requestMethod,
    url: context.url,
    timeoutMs: () => context.timeoutMs(),
    responseHeader: context.responseHeader,
    responseTrailer: context.responseTrailer,
    requestHeader,
    signal,
    values,
  };
}

/** The innermost function: the handler itself. Handlers may answer with partial messages. */
function handlerOf(spec: MethodImplSpec): Invoke {
  const { method } = spec;
  const { output } = method;
  function respond(context: HandlerContext, stream: boolean, message: unknown): Response {
    const { responseHeader: header, responseTrailer: trailer } = context;
    return { stream, service: method.parent, method, header, trailer, message } as Response;
  }
  switch (spec.kind) {
    case "unary":
      return async (request) => {
        const context = contextOf(request);
        const message = await spec.impl(request.message as Message, context);
        return respond(context, false, create(output, message));
      };
    case "server_streaming":
      return async (request) => {
        const context = contextOf(request);
        const message = await onlyMessage(request.message as AsyncIterable<Message>, method);
        return respond(context, true, completed(spec.impl(message, context)));
      };
    case "client_streaming":
      return async (request) => {
        const context = contextOf(request);
        const messages = request.message as AsyncIterable<Message>;
        const message = await spec.impl(messages, context);
        return respond(context, true, iterate(create(output, message)));
      };
    case "bidi_streaming":
      return async (request) => {
        const context = contextOf(request);
        const messages = request.message as AsyncIterable<Message>;
        return respond(context, true, completed(spec.impl(messages, context)));
      };
  }
  function completed(messages: AsyncIterable<MessageInitShape<DescMessage>>) {
    return mapped(messages, (message): Message => create(output, message));
  }
}

/** Takes over headers that an interceptor has replaced. */
function replaceHeaders(target: Headers, source: Headers): void {
  if (source === target) return;
  for (const key of Array.from(target.keys())) target.delete(key);
  for (const [key, value] of source) target.append(key, value);
}
