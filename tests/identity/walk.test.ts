/** Every RPC of the contract, as every role, with scoped keys, as a stranger, and with somebody else's things. */
import { readdir } from "node:fs/promises";
import {
  create,
  type DescMessage,
  type DescMethod,
  type DescService,
  getOption,
  type Message,
} from "@bufbuild/protobuf";
import { Code, ConnectError, createClient, type Transport } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { Metadata, type ServiceError } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { http } from "../../gen/google/api/annotations_pb.js";
import { ConversationService } from "../../gen/tribe/v1/conversation_pb.js";
import { Role } from "../../gen/tribe/v1/identity_pb.js";
import { defaultRolePermissions, type RoleName } from "../../src/identity/roles.ts";
import { policyOf } from "../../src/policy.ts";
import { startApp, type TestApp } from "../support/app.ts";
import { createGrpcClient } from "../support/grpc-client.ts";
import { clientsOf, createUserWithKey } from "./clients.ts";

/** Every service that the contract has, found in what was generated from it. */
async function findServices(): Promise<DescService[]> {
  const folder = new URL("../../gen/tribe/v1/", import.meta.url);
  const files = (await readdir(folder)).filter((name) => name.endsWith("_pb.js"));
  const modules = await Promise.all(
    files.map((name) => import(new URL(name, folder).href) as Promise<Record<string, unknown>>),
  );
  return modules.flatMap((module) =>
    Object.values(module).filter(
      (value): value is DescService => (value as DescService | undefined)?.kind === "service",
    ),
  );
}
const services = await findServices();
const methods = services.flatMap((service) => service.methods);

/**
 * Who may call what. Whoever adds an RPC, or lets others call one, says so here a second time:
 * the permission, or that it is open to everybody, and whether it leaves an audit event.
 */
const table: Record<string, string> = {
  "AdminService/ListAuditEvents": "audit:read, audited",
  "AdminService/VerifyAuditLog": "audit:read, audited",
  "AdminService/GetSettings": "settings:read",
  "AdminService/UpdateSettings": "settings:write, audited",
  "ChatService/SendMessage": "chat:write",
  "ChatService/StreamMessage": "chat:write",
  "ChatService/ResumeRun": "chat:read",
  "ChatService/GetRun": "chat:read",
  "ChatService/CancelRun": "chat:write",
  "ChatService/ListModels": "models:read",
  "ConversationService/CreateConversation": "conversations:write",
  "ConversationService/ListConversations": "conversations:read",
  "ConversationService/GetConversation": "conversations:read",
  "ConversationService/UpdateConversation": "conversations:write",
  "ConversationService/DeleteConversation": "conversations:write, audited",
  "ConversationService/ListMessages": "conversations:read",
  "ConversationService/ForkConversation": "conversations:write",
  "ConversationService/ExportConversation": "conversations:read, audited",
  "ConversationService/SearchMessages": "conversations:read",
  "HealthService/Check": "public",
  "HealthService/Detailed": "health:read",
  "HealthService/Ready": "public",
  "HealthService/Live": "public",
  "IdentityService/SignIn": "public, audited",
  "IdentityService/RefreshToken": "public, audited",
  "IdentityService/SignOut": "me:read, audited",
  "IdentityService/GetMe": "me:read",
  "IdentityService/CreateApiKey": "keys:write, audited",
  "IdentityService/ListApiKeys": "keys:read, audited",
  "IdentityService/RotateApiKey": "keys:write, audited",
  "IdentityService/RevokeApiKey": "keys:write, audited",
  "IdentityService/CreateUser": "users:write, audited",
  "IdentityService/ListUsers": "users:read, audited",
  "IdentityService/GetUser": "users:read, audited",
  "IdentityService/UpdateUser": "users:write, audited",
  "IdentityService/SetPassword": "me:write, audited",
  "IdentityService/DeleteUser": "users:write, audited",
  "IdentityService/UnblockUser": "users:write, audited",
  "IdentityService/ExportUserData": "me:read, audited",
  "UsageService/GetUsage": "usage:read, audited",
  "UsageService/GetBudget": "usage:read, audited",
  "UsageService/SetBudget": "budgets:write, audited",
};
const roles = Object.keys(defaultRolePermissions) as RoleName[];
const protoRoles = {
  viewer: Role.VIEWER,
  user: Role.USER,
  service: Role.SERVICE,
  admin: Role.ADMIN,
};
type Owner = Awaited<ReturnType<typeof createUserWithKey>>;

let app: TestApp;
let owner: Owner;
/** Ids of the owner's things, by the names of the fields that take them. */
let ids: Record<string, string>;
const keys = {} as Record<RoleName, string>;
beforeAll(async () => {
  app = await startApp();
  const administrator = clientsOf(app.baseUrl, app.key);
  owner = await createUserWithKey(administrator, app.baseUrl);
  for (const role of roles) {
    keys[role] = (await createUserWithKey(administrator, app.baseUrl, protoRoles[role])).key;
  }
  const content = [{ part: { case: "text" as const, value: "Hello" } }];
  const turn = await owner.chat.sendMessage({ content });
  ids = {
    conversation_id: turn.conversationId,
    run_id: turn.runId,
    message_id: turn.userMessage?.messageId ?? "",
    parent_message_id: turn.userMessage?.messageId ?? "",
    leaf_message_id: turn.assistantMessage?.messageId ?? "",
    api_key_id: owner.apiKeyId,
    user_id: owner.userId,
  };
});
afterAll(() => app.close());

/** What fields without which a request is not valid are given. */
const samples: Record<string, unknown> = {
  email: "nobody@example.org",
  password: "correct horse battery",
  new_password: "correct horse battery",
  refresh_token: "trr_nothing",
  name: "walk",
  query: "hello",
  role: Role.VIEWER,
  content: [{ part: { case: "text", value: "Hello" } }],
};

/** A valid request that names the owner's things wherever it can name one. */
function requestFor(schema: DescMessage, depth = 0): Message {
  const init: Record<string, unknown> = {};
  for (const field of schema.fields) {
    if (ids[field.name] !== undefined) init[field.localName] = ids[field.name];
    else if (depth === 0 && samples[field.name] !== undefined)
      init[field.localName] = samples[field.name];
    else if (
      field.fieldKind === "message" &&
      ["conversation", "user", "budget"].includes(field.name)
    ) {
      init[field.localName] = requestFor(field.message, 1);
    } else if (field.fieldKind === "message" && field.name === "settings") {
      init[field.localName] = {};
    }
  }
  return create(schema, init as never);
}

function namesOthersThing(schema: DescMessage): boolean {
  return schema.fields.some(
    (field) =>
      ids[field.name] !== undefined ||
      (field.fieldKind === "message" &&
        ["conversation", "user"].includes(field.name) &&
        namesOthersThing(field.message)),
  );
}

type Outcome = { code: string; message: string };

/** Where an id narrows down what is one's own: others' things are not among it. */
const narrowing: readonly DescMethod[] = [ConversationService.method.searchMessages];

async function overConnect(method: DescMethod, key: string): Promise<Outcome> {
  const transport: Transport = createConnectTransport({
    baseUrl: app.baseUrl,
    httpVersion: "1.1",
    interceptors: [
      (next) => (request) => {
        if (key !== "") request.header.set("x-api-key", key);
        return next(request);
      },
    ],
  });
  const client = createClient(method.parent, transport) as Record<
    string,
    (request: Message) => unknown
  >;
  try {
    const answer = client[method.localName]?.(requestFor(method.input));
    if (method.methodKind === "server_streaming")
      for await (const _ of answer as AsyncIterable<unknown>);
    else await answer;
    return { code: "Ok", message: "" };
  } catch (error) {
    const { code, rawMessage } = ConnectError.from(error);
    return { code: Code[code], message: rawMessage };
  }
}

const grpcCodes = ["Ok", ...Object.keys(Code).filter((name) => Number.isNaN(Number(name)))];

function overGrpc(method: DescMethod, key: string): Promise<Outcome> {
  const client = createGrpcClient(method.parent, app.grpcAddress);
  const metadata = new Metadata();
  if (key !== "") metadata.set("x-api-key", key);
  const request = requestFor(method.input);
  return new Promise<Outcome>((resolve) => {
    const end = (error: ServiceError | null) =>
      resolve({ code: grpcCodes[error?.code ?? 0] ?? "", message: error?.details ?? "" });
    const call = client[method.name]!(
      request,
      metadata,
      ...(method.methodKind === "unary" ? [end] : []),
    ) as unknown as NodeJS.ReadableStream;
    if (method.methodKind === "unary") return;
    call.on("data", () => {});
    call.on("error", (error) => end(error as ServiceError));
    call.on("end", () => end(null));
  }).finally(() => client.close());
}

/** Only the path counts here: who has no credential gets no further. */
async function overRest(method: DescMethod): Promise<Outcome> {
  const rule = getOption(method, http);
  const { case: verb, value } = rule.pattern;
  if (verb === undefined || verb === "custom") throw new Error(`${method.name} has no route`);
  const path = value.replace(/\{(?:\w+\.)?(\w+)[^}]*\}/g, (_, name: string) => ids[name] ?? "x");
  const response = await fetch(app.baseUrl + path, {
    method: verb.toUpperCase(),
    ...(rule.body !== "" && { body: "{}", headers: { "content-type": "application/json" } }),
  });
  const { message = "" } = (await response.json()) as { message?: string };
  return { code: response.status === 401 ? "Unauthenticated" : String(response.status), message };
}

const all = methods.map((method) => [`${method.parent.name}/${method.name}`, method] as const);
const closed = all.filter(([, method]) => !policyOf(method).public);
const open = all.filter(([, method]) => policyOf(method).public);

test("every RPC stands in the table, as the contract has it", () => {
  const policies = all.map(([name, method]) => {
    const { public: isPublic, permission, audited } = policyOf(method);
    return [name, `${isPublic ? "public" : permission}${audited ? ", audited" : ""}`];
  });
  expect(Object.fromEntries(policies)).toEqual(table);
  expect(open.length).toBe(5);
});

describe("a key with scopes", () => {
  /** Of an administrator who owns nothing. */
  const scoped = new Map<string, { only: string; without: string }>();
  beforeAll(async () => {
    const administrator = clientsOf(app.baseUrl, app.key);
    const { userId } = await createUserWithKey(administrator, app.baseUrl, Role.ADMIN);
    const makeKey = async (scopes: string[]) =>
      (await administrator.identity.createApiKey({ userId, name: "scoped", scopes })).secret;
    const { admin } = defaultRolePermissions;
    for (const permission of new Set(closed.map(([, method]) => policyOf(method).permission))) {
      scoped.set(permission, {
        only: await makeKey([permission]),
        without: await makeKey(admin.filter((other) => other !== permission)),
      });
    }
  });

  test.each(closed)("for all else cannot call %s, and one for it alone can", async (_, method) => {
    const { permission } = policyOf(method);
    const { only = "", without = "" } = scoped.get(permission) ?? {};
    const denial = `PermissionDenied: needs ${permission}`;
    for (const call of [overConnect, overGrpc]) {
      const denied = await call(method, without);
      expect(`${denied.code}: ${denied.message}`).toBe(denial);
      const { code, message } = await call(method, only);
      expect(`${code}: ${message}`).not.toBe(denial);
      expect(code).not.toMatch(/Unauthenticated|Internal|Unknown/);
    }
  });
});

test.each(closed)("%s is closed to strangers on every door", async (_, method) => {
  for (const outcome of [
    await overConnect(method, ""),
    await overGrpc(method, ""),
    await overRest(method),
  ]) {
    expect(outcome.code).toBe("Unauthenticated");
    expect(outcome.message).toMatch(/^no credential/);
  }
});

describe.each(roles.filter((role) => role !== "admin"))("a %s", (role) => {
  const permissions = new Set(defaultRolePermissions[role]);

  /** What the role is to get: `code: message`. */
  function expected(method: DescMethod): RegExp {
    const { permission } = policyOf(method);
    if (!permissions.has(permission)) return new RegExp(`^PermissionDenied: needs ${permission}$`);
    if (narrowing.includes(method)) return /^Ok: $/;
    // As if there were no such thing; never "that is not yours".
    if (namesOthersThing(method.input)) return /^(NotFound|Unimplemented): /;
    return /^(?!PermissionDenied|Unauthenticated|Internal|Unknown)/;
  }

  test.each(closed)("calling %s with somebody else's things", async (_, method) => {
    for (const call of [overConnect, overGrpc]) {
      const { code, message } = await call(method, keys[role]);
      expect(`${code}: ${message}`).toMatch(expected(method));
    }
  });
});

test("searching somebody else's conversation finds nothing in it", async () => {
  const request = { query: "hello", conversationId: ids["conversation_id"] ?? "" };
  await vi.waitFor(async () => {
    expect((await owner.conversations.searchMessages(request)).results).toHaveLength(1);
  }, 10_000);
  const stranger = clientsOf(app.baseUrl, keys.user);
  expect((await stranger.conversations.searchMessages(request)).results).toEqual([]);
});

test("an administrator is denied nothing", async () => {
  // What would end others' things is done to nobody here.
  const harmless = closed.filter(
    ([name]) => !/Delete|Revoke|Rotate|SetPassword|SignOut|Update/.test(name),
  );
  for (const [, method] of harmless) {
    const { code } = await overConnect(method, keys.admin);
    expect(`${method.name} ${code}`).not.toMatch(
      /PermissionDenied|Unauthenticated|Internal|Unknown/,
    );
  }
});

test("after all that, what the others tried to get is as it was", async () => {
  const { conversationId } =
    (await owner.conversations.getConversation({ conversationId: ids["conversation_id"] ?? "" }))
      .conversation ?? {};
  expect(conversationId).toBe(ids["conversation_id"]);
  const { messages } = await owner.conversations.listMessages({
    conversationId: conversationId ?? "",
  });
  expect(messages.length).toBe(2);
  expect(
    (await owner.identity.listApiKeys({})).apiKeys.filter(({ name }) => name === "first"),
  ).toMatchObject([{ apiKeyId: owner.apiKeyId }]);
  expect((await owner.identity.getMe({})).user).toMatchObject({
    displayName: "USER",
    role: Role.USER,
  });
});
