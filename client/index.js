// The generated services and messages of tribe.v1, for @connectrpc/connect or ./grpc-js.js.
// JavaScript, because Node strips no types inside node_modules.
export * from "../gen/tribe/v1/admin_pb.js";
export * from "../gen/tribe/v1/chat_pb.js";
export * from "../gen/tribe/v1/conversation_pb.js";
export * from "../gen/tribe/v1/health_pb.js";
export * from "../gen/tribe/v1/identity_pb.js";
export * from "../gen/tribe/v1/message_pb.js";
export * from "../gen/tribe/v1/policy_pb.js";
export * from "../gen/tribe/v1/usage_pb.js";
