/** The gRPC door: Connect handlers over @grpc/grpc-js, h2c or TLS. */
import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import {
  logVerbosity,
  Server,
  ServerCredentials,
  type ServerInterceptingCall,
  setLogVerbosity,
} from "@grpc/grpc-js";
import { createCall } from "../call.ts";
import { type CallEntry, logRefusal } from "../calls.ts";
import type { ClientAddress } from "../client-address.ts";
import { toConnectError } from "../errors.ts";
import { collectMethods, type InvocableMethod, type Routes } from "../invoke.ts";
import { readMessage } from "./codec.ts";
import { takeOverRefusals } from "./refusals.ts";
import { type GrpcDoor, serveCall } from "./serve.ts";

/** Handlers and the interceptors in front of them, the outermost first. */
export interface RouteGroup {
  routes: Routes;
  interceptors: Interceptor[];
}

export interface GrpcServerOptions {
  /** Groups with different interceptors, for example public ones and those without a caller. */
  groups: RouteGroup[];
  /** Takes the log lines of calls that end before the interceptors see them. */
  log(entry: CallEntry): void;
  /** The largest message, in bytes, in and out. */
  maxMessageBytes: number;
  /** The longest that a call may take, in milliseconds; the deadline of calls that bring none. */
  defaultTimeoutMs: number;
  clientAddress: ClientAddress;
}

/** A gRPC server. */
export interface GrpcServer {
  /** Listens and gives the port. */
  listen(host: string, port: number): Promise<number>;
  /** Takes no new calls and resolves when the last one has ended. */
  close(): Promise<void>;
  /** Cuts all connections. */
  destroy(): void;
}

/** Makes the server; nothing listens yet. */
export function createGrpcServer(options: GrpcServerOptions): GrpcServer {
  const { maxMessageBytes, log } = options;
  const methods = new Map<string, InvocableMethod>();
  for (const { routes, interceptors } of options.groups) {
    for (const method of collectMethods(routes, interceptors)) methods.set(pathOf(method), method);
  }
  const door: GrpcDoor = {
    methods,
    defaultTimeoutMs: options.defaultTimeoutMs,
    maxMessageBytes,
    clientAddress: options.clientAddress,
    logRefusal: (call, path, error) => logRefusal(log, call, path.slice(1), error),
  };
  // It writes to the console, header values included; what matters is thrown.
  setLogVerbosity(logVerbosity.NONE);
  const server = new Server({
    "grpc.max_receive_message_length": maxMessageBytes,
    "grpc.max_send_message_length": maxMessageBytes,
    "grpc.enable_channelz": 0,
    "grpc.max_concurrent_streams": 1000,
    "grpc.keepalive_time_ms": 60_000,
    "grpc.keepalive_timeout_ms": 20_000,
    // The declared type is grpc-js's own wrapper; what it needs is the interface.
    interceptors: [
      ({ path }, call) => serveCall(door, path, call) as unknown as ServerInterceptingCall,
    ],
  });
  for (const [path, { method }] of methods) {
    server.register(path, ignore, asBuffer, (bytes) => readMessage(method.input, bytes), "unary");
  }
  const unknown = (path: string) => {
    return { func: ignore, serialize: asBuffer, deserialize: asBuffer, type: "unary", path };
  };
  takeOverRefusals(server, unknown, (stream, headers) => {
    const call = createCall("grpc", String(headers["x-request-id"] ?? ""));
    const text = "this port speaks gRPC; send content-type application/grpc";
    stream.respond({
      ":status": 415,
      "content-type": "text/plain; charset=utf-8",
      "x-request-id": call.requestId,
    });
    stream.end(text);
    const error = new ConnectError(text, Code.InvalidArgument);
    logRefusal(log, call, String(headers[":path"]).slice(1), toConnectError(error, call.requestId));
  });

  return {
    listen: (host, port) =>
      new Promise((resolve, reject) => {
        const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
        server.bindAsync(address, ServerCredentials.createInsecure(), (error, boundPort) => {
          if (error) reject(error);
          else resolve(boundPort);
        });
      }),
    close: () => new Promise((resolve) => server.tryShutdown(() => resolve())),
    destroy: () => server.forceShutdown(),
  };
}

function pathOf({ method }: InvocableMethod): string {
  return `/${method.parent.typeName}/${method.name}`;
}

/** Bytes are written by the door itself. */
function asBuffer(bytes: unknown): Buffer {
  return bytes as Buffer;
}

function ignore(): void {}
