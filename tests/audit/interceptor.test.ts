import { createContextValues, Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import type { DescMethod } from "@bufbuild/protobuf";
import { randomUUIDv7 } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { AdminService } from "../../gen/tribe/v1/admin_pb.js";
import { ChatService } from "../../gen/tribe/v1/chat_pb.js";
import { ConversationService } from "../../gen/tribe/v1/conversation_pb.js";
import { IdentityService } from "../../gen/tribe/v1/identity_pb.js";
import { UsageService } from "../../gen/tribe/v1/usage_pb.js";
import { actionOf } from "../../src/audit/action.ts";
import type { Audit } from "../../src/audit/audit.ts";
import { trailOf } from "../../src/audit/trail.ts";
import { notFound } from "../../src/errors.ts";
import { policyOf } from "../../src/policy.ts";
import { callKey, createCall } from "../../src/rpc/call.ts";
import { createDatabase, type TestDatabase } from "../support/postgres.ts";
import { openAudit } from "./events.ts";

let database: TestDatabase;
let audit: Audit;
beforeAll(async () => {
  database = await createDatabase();
  audit = openAudit(database.postgres);
});
afterAll(async () => {
  await audit.close();
  await database.close();
});
let userId: string;
beforeEach(() => {
  userId = randomUUIDv7();
});

type Next = Parameters<Interceptor>[0];

/** A call as the doors make it, by `userId` unless it is a stranger's. */
function call(method: DescMethod, handle: Next, by: string | null = userId) {
  const record = createCall("test", "request-7", "192.0.2.7");
  if (by !== null) record.facts = { userId: by };
  const request = {
    method,
    stream: false,
    contextValues: createContextValues().set(callKey, record),
  };
  return audit.interceptor(handle)(request as never);
}

const answer = { stream: false, message: {} } as never;

async function events() {
  await audit.verify();
  const { auditEvents } = await audit.service.listAuditEvents({
    pageSize: 0,
    pageToken: "",
    userId: "",
    action: "",
  } as never);
  return auditEvents.map(({ userId, action, resource, outcome, requestId, address, facts }) => ({
    userId,
    action,
    resource,
    outcome,
    requestId,
    address,
    facts,
  }));
}

test("a read leaves an event, an unaudited call none", async () => {
  await call(IdentityService.method.getUser, async ({ contextValues }) => {
    trailOf(contextValues).resource = "user/7";
    return answer;
  });
  await call(ChatService.method.sendMessage, async () => answer);
  expect(await events()).toEqual([
    {
      userId,
      action: "identity.user.get",
      resource: "user/7",
      outcome: "ok",
      requestId: "request-7",
      address: "192.0.2.7",
      facts: {},
    },
  ]);
});

test("a change that recorded itself leaves one event", async () => {
  const before = await events();
  await call(IdentityService.method.createUser, async ({ contextValues }) => {
    const trail = trailOf(contextValues);
    trail.resource = "user/8";
    await database.postgres.work((em) => audit.record(em, trail));
    return answer;
  });
  const after = await events();
  expect(after.length).toBe(before.length + 1);
  expect(after[0]).toMatchObject({
    action: "identity.user.create",
    resource: "user/8",
    outcome: "ok",
  });
});

test("a refusal leaves an event with its reason, also when the change was rolled back", async () => {
  const refused = call(IdentityService.method.updateUser, async ({ contextValues }) => {
    await database.postgres.work((em) =>
      em.transactional(async (em) => {
        await audit.record(em, trailOf(contextValues));
        throw notFound("user", "9");
      }),
    );
    return answer;
  });
  await expect(refused).rejects.toThrow("does not exist");
  expect((await events())[0]).toMatchObject({
    action: "identity.user.update",
    outcome: "NOT_FOUND",
    userId,
  });
});

test("strangers are told of once, however often they are refused", async () => {
  const before = await events();
  for (let count = 0; count < 20; count += 1) {
    const refused = call(
      IdentityService.method.listUsers,
      () => Promise.reject(new ConnectError("no", Code.Unauthenticated)),
      null,
    );
    await expect(refused).rejects.toThrow("no");
  }
  const after = await events();
  expect(after.length).toBe(before.length + 1);
  expect(after[0]).toMatchObject({
    action: "identity.user.list",
    outcome: "UNAUTHENTICATED",
    userId: "",
  });
});

test("lists by user, by action and by time, page by page", async () => {
  const list = (request: object) =>
    audit.service.listAuditEvents({
      pageSize: 0,
      pageToken: "",
      userId: "",
      action: "",
      ...request,
    } as never);
  for (let count = 0; count < 5; count += 1) {
    await call(IdentityService.method.getUser, async () => answer);
  }
  const first = await list({ userId, pageSize: 2 });
  const second = await list({ userId, pageSize: 2, pageToken: first.nextPageToken });
  const third = await list({ userId, pageSize: 2, pageToken: second.nextPageToken });
  const sequences = [first, second, third].flatMap(({ auditEvents }) =>
    auditEvents.map(({ sequence }) => Number(sequence)),
  );
  expect(sequences).toEqual([...sequences].sort((a, b) => b - a));
  expect(sequences.length).toBe(5);
  expect(third.nextPageToken).toBe("");
  expect((await list({ userId, action: "identity.user.list" })).auditEvents).toEqual([]);
  expect((await list({ userId, endTime: { seconds: 1n, nanos: 0 } })).auditEvents).toEqual([]);
  await expect(list({ userId, pageToken: "x" })).rejects.toThrow(/pageToken/);
});

test("names every audited method", () => {
  const services = [AdminService, ChatService, ConversationService, IdentityService, UsageService];
  const actions = services
    .flatMap(({ methods }) => methods)
    .filter((method) => policyOf(method).audited)
    .map(actionOf);
  expect(new Set(actions).size).toBe(actions.length);
  expect(actions).toContain("identity.key.create");
  expect(actions).toContain("identity.session.sign_in");
  expect(actions).toContain("conversation.conversation.delete");
  for (const action of actions) expect(action).toMatch(/^[a-z]+\.[a-z_]+\.[a-z_]+$/);
});
