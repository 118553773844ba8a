/**
 * Calls a Connect handler through its interceptors, without an HTTP protocol of
 * Connect's around it: what the gRPC door and the REST transcoder are built on.
 *
 * `invokeUnaryImplementation` and `transformInvokeImplementation` are marked
 * internal by @connectrpc/connect, so they are used in this file only and the
 * package's version is pinned.
 */
import type { DescMethod, DescService, Message } from "@bufbuild/protobuf";
import {
  createHandlerContext,
  createMethodImplSpec,
  createContextValues,
  createServiceImplSpec,
  type ConnectRouter,
  type ContextValues,
  type HandlerContext,
  type Interceptor,
  type MethodImplSpec,
} from "@connectrpc/connect";
import {
  invokeUnaryImplementation,
  transformInvokeImplementation,
} from "@connectrpc/connect/protocol";
import { callKey, createCall } from "./call.ts";

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
  /** For interceptors and handlers. A door that has a `Call` (call.ts) already puts it here. */
  contextValues?: ContextValues;
}

/** The context of a call. Whoever made it must `abort()` it when the call is over. */
export type CallContext = ReturnType<typeof createHandlerContext>;

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

function invocable(spec: MethodImplSpec, interceptors: Interceptor[]): InvocableMethod {
  return {
    method: spec.method,
    createContext(init) {
      const contextValues = init.contextValues ?? createContextValues();
      if (!contextValues.get(callKey)) {
        const requestId = init.requestHeader.get("x-request-id");
        contextValues.set(callKey, createCall(init.protocolName, requestId));
      }
      const { method } = spec;
      return createHandlerContext({ ...init, contextValues, service: method.parent, method });
    },
    invokeUnary(message, context) {
      if (spec.kind !== "unary") throw new TypeError(`${spec.method.name} is not unary`);
      return invokeUnaryImplementation(spec, context, message, interceptors);
    },
    invokeStream: (messages, context) =>
      transformInvokeImplementation(spec, context, interceptors)(messages),
  };
}
