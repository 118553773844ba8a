/**
 * What finding out who calls, and whether they may, costs a request whose credential was seen
 * before: `node bench/access.ts`. No server and no store: nothing of it asks one.
 */
import { create } from "@bufbuild/protobuf";
import { type ContextValues, createContextValues } from "@connectrpc/connect";
import { randomBytes, randomUUID } from "node:crypto";
import { ChatService, SendMessageRequestSchema } from "../gen/tribe/v1/chat_pb.js";
import { createKeyAddresses } from "../src/anomalies/key-addresses.ts";
import { createAuditInterceptor } from "../src/audit/audit.interceptor.ts";
import { makeApiKey } from "../src/identity/api-key.ts";
import { createAuthenticator } from "../src/identity/authenticator.ts";
import { createPolicyInterceptor } from "../src/identity/policy.interceptor.ts";
import { createPrincipalCache } from "../src/identity/principal-cache.ts";
import { defaultRolePermissions, toRolePermissions } from "../src/identity/roles.ts";
import { callKey, createCall } from "../src/rpc/call.ts";
import { createLogger } from "../src/telemetry/logger.ts";

const credentials = 10_000;
const calls = 400_000;

/** CPU of a call through both interceptors, less that of a call through none, in microseconds. */
async function measure(makeCredential: () => string): Promise<number> {
  const permissions = toRolePermissions(defaultRolePermissions).user;
  const authenticate = createAuthenticator({
    cache: createPrincipalCache(credentials * 2),
    kinds: [
      {
        matches: () => true,
        async lookUp() {
          const userId = randomUUID();
          return {
            caller: { userId, apiKeyId: randomUUID(), role: "user", permissions },
            subjects: [`user:${userId}`],
            expireTime: Date.now() + 3_600_000,
          };
        },
      },
    ],
    administrator: { key: "an administrator's key", caller: () => ({}) as never },
    session: () => undefined,
    guessers: { note() {}, refuse() {} },
    onKeyUse() {},
  });
  const logger = createLogger({ level: "silent" });
  const audit = createAuditInterceptor({ write: async () => {}, logger });
  const policy = createPolicyInterceptor(authenticate, createKeyAddresses().note);
  const message = create(SendMessageRequestSchema, {});
  const response = Promise.resolve({} as never);
  const handle = () => response;
  const guarded = audit(policy(handle));
  const headers = Array.from({ length: credentials }, () => {
    const entries = { "content-type": "application/json", "user-agent": "bench" };
    return new Headers({ ...entries, authorization: `Bearer ${makeCredential()}` });
  });
  const request = (index: number, contextValues: ContextValues) =>
    ({
      method: ChatService.method.sendMessage,
      stream: false,
      message,
      header: headers[index % credentials],
      contextValues: contextValues.set(callKey, createCall("bench", "request-1", "192.0.2.1")),
    }) as never;

  async function cpu(run: typeof guarded): Promise<number> {
    const start = process.cpuUsage();
    for (let index = 0; index < calls; index += 1) await run(request(index, createContextValues()));
    const { user, system } = process.cpuUsage(start);
    return (user + system) / calls;
  }
  // Each credential is seen, and the code is warm, before anything counts.
  await cpu(guarded);
  await cpu(handle as never);
  const rounds: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    rounds.push((await cpu(guarded)) - (await cpu(handle as never)));
  }
  return rounds.toSorted((a, b) => a - b)[1] ?? Number.NaN;
}

const key = await measure(() => makeApiKey("live"));
// As long as an access token with Ed25519.
const token = await measure(() => `ey${randomBytes(190).toString("base64url")}`);
console.log(
  `Who calls and whether they may, CPU µs a request, ${credentials} credentials seen before: ` +
    `API key ${key.toFixed(1)}, token ${token.toFixed(1)} (at most 15)`,
);
