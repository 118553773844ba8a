import { createClient, type Interceptor } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { AdminService } from "../../gen/tribe/v1/admin_pb.js";
import { IdentityService } from "../../gen/tribe/v1/identity_pb.js";
import type { Operator } from "./operator.ts";
import { UsageError } from "./usage-error.ts";

/** How long a call may take, in milliseconds: verifying a long audit log takes a while. */
const timeoutMs = 600_000;

/** Asks a running service over gRPC: `host:port` in the clear, or `https://host:port`. */
export function connectService(server: string, key: string): Operator {
  const baseUrl = toUrl(server);
  const sessionManager = new Http2SessionManager(baseUrl);
  const withKey: Interceptor = (next) => (request) => {
    request.header.set("authorization", `Bearer ${key}`);
    return next(request);
  };
  const transport = createGrpcTransport({
    baseUrl,
    sessionManager,
    interceptors: [withKey],
    defaultTimeoutMs: timeoutMs,
  });
  return {
    identity: createClient(IdentityService, transport),
    admin: createClient(AdminService, transport),
    where: `the service at ${baseUrl}`,
    close: async () => sessionManager.abort(),
  };
}

function toUrl(server: string): string {
  const url = URL.parse(server.includes("://") ? server : `http://${server}`);
  const isWhole = url !== null && /^https?:$/.test(url.protocol) && url.hostname !== "";
  if (isWhole && url.username === "" && url.pathname === "/") return url.origin;
  throw new UsageError(
    "the server must be host:port of the gRPC port, or https://host:port; " +
      `this is not: ${server.replace(/\/\/[^@/]*@/, "//…@")}`,
  );
}
