import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { AdminService } from "../../gen/tribe/v1/admin_pb.js";
import { IdentityService, Role } from "../../gen/tribe/v1/identity_pb.js";
import { UsageService } from "../../gen/tribe/v1/usage_pb.js";
import { ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { connectClients } from "../support/clients.ts";

/** Typed clients of every service, with one credential. Empty: none. */
export function clientsOf(baseUrl: string, key: string) {
  const transport = createConnectTransport({
    baseUrl,
    httpVersion: "1.1",
    interceptors: [
      (next) => (request) => {
        if (key !== "") request.header.set("authorization", `Bearer ${key}`);
        return next(request);
      },
    ],
  });
  return {
    ...connectClients({ baseUrl, key }),
    identity: createClient(IdentityService, transport),
    admin: createClient(AdminService, transport),
    usage: createClient(UsageService, transport),
  };
}

/** All clients of one credential. */
export type Clients = ReturnType<typeof clientsOf>;

/** Makes a user with a key that may do all that the role may. */
export async function createUserWithKey(
  administrator: Clients,
  baseUrl: string,
  role: Role = Role.USER,
) {
  const { user } = await administrator.identity.createUser({ role, displayName: Role[role] });
  const userId = user?.userId ?? "";
  const { apiKey, secret } = await administrator.identity.createApiKey({ userId, name: "first" });
  return { userId, apiKeyId: apiKey?.apiKeyId ?? "", key: secret, ...clientsOf(baseUrl, secret) };
}

/** What a call fails with, as `UNAUTHENTICATED UNAUTHENTICATED: the API key was revoked`. */
export async function failureOf(call: Promise<unknown>): Promise<string> {
  const failure = await call.then(
    () => "it did not fail",
    (error: unknown) => error,
  );
  if (!(failure instanceof ConnectError)) return String(failure);
  const [info] = failure.findDetails(ErrorInfoSchema);
  const code = Code[failure.code].replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
  return `${code} ${info?.reason}: ${failure.rawMessage}`;
}
