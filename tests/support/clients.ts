import { createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { ChatService } from "../../gen/tribe/v1/chat_pb.js";
import { ConversationService } from "../../gen/tribe/v1/conversation_pb.js";
import { HealthService } from "../../gen/tribe/v1/health_pb.js";
import { UsageService } from "../../gen/tribe/v1/usage_pb.js";

/** Typed clients of the Connect door that carry a key. */
export function connectClients({ baseUrl, key }: { baseUrl: string; key: string }) {
  const withKey: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${key}`);
    return next(request);
  };
  const transport = createConnectTransport({
    baseUrl,
    httpVersion: "1.1",
    interceptors: [withKey],
  });
  return {
    chat: createClient(ChatService, transport),
    conversations: createClient(ConversationService, transport),
    health: createClient(HealthService, transport),
    usage: createClient(UsageService, transport),
  };
}
