import type {
  DescMethodBiDiStreaming,
  DescMethodClientStreaming,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageInitShape,
  MessageShape,
} from "@bufbuild/protobuf";
import type {
  CallOptions,
  ChannelCredentials,
  Client,
  ClientDuplexStream,
  ClientOptions,
  ClientReadableStream,
  ClientUnaryCall,
  ClientWritableStream,
  Metadata,
  MethodDefinition,
  ServiceError,
} from "@grpc/grpc-js";

/** What @grpc/grpc-js wants to know about a service, for its client and its server. */
export type GrpcServiceDefinition<Service extends DescService> = {
  readonly [Name in keyof Service["method"]]: MethodDefinition<
    MessageInitShape<Service["method"][Name]["input"]>,
    MessageShape<Service["method"][Name]["output"]>
  >;
};

/** Turns a generated service into a definition for @grpc/grpc-js; its methods keep their local names. */
export declare function grpcServiceDefinition<Service extends DescService>(
  service: Service,
): GrpcServiceDefinition<Service>;

/** Gets the error or the answer of a call. */
export type GrpcCallback<Response> = (error: ServiceError | null, response?: Response) => void;

/** A call whose request is one message and whose answer is one message. */
export interface GrpcUnaryMethod<Request, Response> {
  (request: Request, callback: GrpcCallback<Response>): ClientUnaryCall;
  (request: Request, metadata: Metadata, callback: GrpcCallback<Response>): ClientUnaryCall;
  (
    request: Request,
    metadata: Metadata,
    options: CallOptions,
    callback: GrpcCallback<Response>,
  ): ClientUnaryCall;
}

/** The answers of a streaming call: `for await (const response of stream)`, or its events. */
export type GrpcResponseStream<Response> = Omit<
  ClientReadableStream<Response>,
  typeof Symbol.asyncIterator
> &
  AsyncIterable<Response>;

/** A client of @grpc/grpc-js with a typed method for each RPC of the service. */
export type GrpcClient<Service extends DescService> = Client & {
  [Name in keyof Service["method"]]: Service["method"][Name] extends DescMethodUnary<
    infer Input,
    infer Output
  >
    ? GrpcUnaryMethod<MessageInitShape<Input>, MessageShape<Output>>
    : Service["method"][Name] extends DescMethodServerStreaming<infer Input, infer Output>
      ? (
          request: MessageInitShape<Input>,
          metadata?: Metadata,
          options?: CallOptions,
        ) => GrpcResponseStream<MessageShape<Output>>
      : Service["method"][Name] extends DescMethodClientStreaming<infer Input, infer Output>
        ? (
            metadata: Metadata,
            options: CallOptions,
            callback: GrpcCallback<MessageShape<Output>>,
          ) => ClientWritableStream<MessageInitShape<Input>>
        : Service["method"][Name] extends DescMethodBiDiStreaming<infer Input, infer Output>
          ? (
              metadata?: Metadata,
              options?: CallOptions,
            ) => ClientDuplexStream<MessageInitShape<Input>, MessageShape<Output>>
          : never;
};

/**
 * Makes a client for the service at `host:port`. Requests may be plain objects,
 * for example `{ conversationId }`; what is missing gets its default.
 */
export declare function createGrpcClient<Service extends DescService>(
  service: Service,
  address: string,
  credentials: ChannelCredentials,
  options?: ClientOptions,
): GrpcClient<Service>;
