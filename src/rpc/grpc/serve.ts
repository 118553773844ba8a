/**
 * One gRPC call: from grpc-js's events to a Connect handler.
 *
 * It sits on grpc-js's interceptor seam, where metadata, messages and status are
 * plain callbacks: no Node stream per call, and every status that grpc-js makes up
 * itself (too large, not gzip, deadline) passes here too.
 */
import type { Message } from "@bufbuild/protobuf";
import { Code, ConnectError, createContextValues } from "@connectrpc/connect";
import type { ServerInterceptingCallInterface } from "@grpc/grpc-js";
import { DomainError } from "../../errors.ts";
import { type Call, callKey, createCall } from "../call.ts";
import type { ClientAddress } from "../client-address.ts";
import type { InvocableMethod } from "../invoke.ts";
import { createMessageQueue, type MessageQueue } from "./message-queue.ts";
import { headersFromMetadata } from "./metadata.ts";
import { refusalFromStatus } from "./refusals.ts";
import { createReply, type Reply } from "./reply.ts";

/** What all calls of a server share. */
export interface GrpcDoor {
  /** By path, `/tribe.v1.ChatService/SendMessage`. */
  methods: ReadonlyMap<string, InvocableMethod>;
  /** The longest that a call may take, and the deadline of those that bring none, in milliseconds. */
  defaultTimeoutMs: number;
  maxMessageBytes: number;
  clientAddress: ClientAddress;
  /** Writes the log line of a call that ended before the interceptors saw it. */
  logRefusal(call: Call, path: string, error: ConnectError): void;
}

/** Takes a call over from grpc-js. */
export function serveCall(
  door: GrpcDoor,
  path: string,
  grpc: ServerInterceptingCallInterface,
): ServerInterceptingCallInterface {
  const start = grpc.start.bind(grpc);
  grpc.start = () => {
    const method = door.methods.get(path);
    let headers: Headers | undefined;
    let reply: Reply;
    let request: Message | undefined;
    let queue: MessageQueue | undefined;

    function open(invocable: InvocableMethod, call: Call): void {
      const context = invocable.createContext({
        protocolName: "grpc",
        requestMethod: "POST",
        url: `http://${grpc.getHost()}${path}`,
        requestHeader: headers ?? new Headers(),
        timeoutMs: timeout(grpc, door.defaultTimeoutMs),
        contextValues: createContextValues().set(callKey, call),
      });
      headers = undefined;
      reply.attach(context);
    }
    let call: Call;

    start({
      onReceiveMetadata(metadata) {
        headers = headersFromMetadata(metadata);
        const peer = addressOf(grpc.getPeer());
        const address = door.clientAddress(peer, headers.get("x-forwarded-for"));
        call = createCall("grpc", headers.get("x-request-id"), address);
        reply = createReply(grpc, {
          call,
          logRefusal: (error) => door.logRefusal(call, path, error),
        });
        grpc.sendStatus = (status) => reply.fail(refusalFromStatus(status, door.maxMessageBytes));
        if (!method) {
          reply.fail(new ConnectError(`${path.slice(1)} does not exist`, Code.Unimplemented));
          return;
        }
        if (hasOneRequest(method)) {
          grpc.startRead();
          return;
        }
        queue = createMessageQueue(() => grpc.startRead());
        open(method, call);
        reply.stream(method, queue.messages);
      },
      onReceiveMessage(message: Message | DomainError) {
        if (queue) {
          if (message instanceof DomainError) queue.fail(message);
          else queue.push(message);
          return;
        }
        if (message instanceof DomainError) {
          reply.fail(message);
        } else if (request) {
          reply.fail(new ConnectError("more than one request was sent", Code.Unimplemented));
        } else {
          request = message;
          grpc.startRead();
        }
      },
      onReceiveHalfClose() {
        if (queue) {
          queue.end();
          return;
        }
        if (!method || reply.finished) return;
        if (!request) {
          reply.fail(new ConnectError("no whole request message was sent", Code.InvalidArgument));
          return;
        }
        const message = request;
        request = undefined;
        open(method, call);
        if (method.method.methodKind === "unary") reply.unary(method, message);
        else reply.stream(method, once(message));
      },
      onCancel() {
        if (reply.finished) return;
        reply.leave();
        queue?.end();
      },
    });
  };
  return grpc;
}

function hasOneRequest({ method }: InvocableMethod): boolean {
  return method.methodKind === "unary" || method.methodKind === "server_streaming";
}

/** Milliseconds that the call may take. */
function timeout(grpc: ServerInterceptingCallInterface, limit: number): number {
  const deadline = Number(grpc.getDeadline());
  return deadline === Infinity ? limit : Math.max(1, Math.min(deadline - Date.now(), limit));
}

async function* once(message: Message): AsyncIterable<Message> {
  yield message;
}

/** `127.0.0.1:41234` and `[::1]:41234` without their ports. */
function addressOf(peer: string): string {
  const end = peer.lastIndexOf(":");
  return end < 0 ? peer : peer.slice(0, end).replace(/^\[|\]$/g, "");
}
