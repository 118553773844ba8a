import { getOption, hasOption, type DescService } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import * as admin from "../../gen/tribe/v1/admin_pb.js";
import * as chat from "../../gen/tribe/v1/chat_pb.js";
import * as conversation from "../../gen/tribe/v1/conversation_pb.js";
import * as health from "../../gen/tribe/v1/health_pb.js";
import * as identity from "../../gen/tribe/v1/identity_pb.js";
import { policy } from "../../gen/tribe/v1/policy_pb.js";
import * as usage from "../../gen/tribe/v1/usage_pb.js";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { allPermissions, defaultRolePermissions } from "../../src/identity/roles.ts";
import { policyOf, requirePolicies } from "../../src/policy.ts";

/** Every service that the contract's files define, found in them rather than listed here. */
const services = [admin, chat, conversation, health, identity, usage].flatMap((file) =>
  Object.values(file).filter(
    (value): value is DescService =>
      typeof value === "object" && "kind" in value && value.kind === "service",
  ),
);

test("every RPC carries a policy that some role satisfies", () => {
  expect(services.map(({ name }) => name).sort()).toEqual([
    "AdminService",
    "ChatService",
    "ConversationService",
    "HealthService",
    "IdentityService",
    "UsageService",
  ]);
  expect(() => requirePolicies(services, allPermissions)).not.toThrow();
});

test("an RPC without a policy, or with one that nobody satisfies, stops the start", () => {
  expect(hasOption(Health.method.check, policy)).toBe(false);
  expect(() => requirePolicies([Health], allPermissions)).toThrow(
    /grpc\.health\.v1\.Health\/Check has no option \(tribe\.v1\.policy\)[\s\S]*Health\/Watch/,
  );
  const { sendMessage } = chat.ChatService.method;
  expect(() => requirePolicies([chat.ChatService], new Set(["models:read", "chat:read"]))).toThrow(
    /ChatService\/SendMessage needs chat:write, which no role has/,
  );
  expect(policyOf(sendMessage)).toBe(policyOf(sendMessage));
  expect(getOption(sendMessage, policy)).toEqual(policyOf(sendMessage));
});

test("every permission is some RPC's, and the administrator has them all", () => {
  const used = new Set(
    services.flatMap(({ methods }) => methods.map((method) => policyOf(method).permission)),
  );
  used.delete("");
  // Widens RPCs that anybody may call for themselves.
  used.add("usage:read_all");
  expect([...allPermissions].sort()).toEqual([...used].sort());
  expect([...defaultRolePermissions.admin].sort()).toEqual([...allPermissions].sort());
});
