/** Handlers that show which method was called with which message. */
import {
  toJson,
  type DescMethod,
  type DescService,
  type FileRegistry,
  type JsonValue,
  type Message,
} from "@bufbuild/protobuf";
import type { ConnectRouter } from "@connectrpc/connect";

/** Which RPC was called, and with what (as JSON). */
export interface Received {
  rpc: string;
  message: JsonValue;
}

/** Records the calls of a service whose methods all answer with an empty message. */
export function recordCalls(service: DescService, registry: FileRegistry) {
  const calls: Received[] = [];
  const messages: Message[] = [];
  const record = (method: DescMethod, message: Message): void => {
    calls.push({ rpc: method.name, message: toJson(method.input, message, { registry }) });
    messages.push(message);
  };
  const routes = (router: ConnectRouter): void => {
    for (const method of service.methods) {
      if (method.methodKind !== "unary") continue;
      const handler = (message: Message) => {
        record(method, message);
        return {};
      };
      router.rpc(method, handler as never);
    }
  };
  return { calls, messages, routes };
}
