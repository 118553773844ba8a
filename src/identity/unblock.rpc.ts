import type { ServiceImpl } from "@connectrpc/connect";
import type { IdentityService } from "../../gen/tribe/v1/identity_pb.js";
import { trailOf } from "../audit/trail.ts";
import type { Changes } from "../changes.ts";
import { notFound } from "../errors.ts";
import { requireCaller } from "./caller.ts";
import { requireAll } from "./grants.ts";
import type { RolePermissions } from "./roles.ts";
import type { SignInGuard } from "./sign-in-guard.ts";
import type { UserRepository } from "./user.repository.ts";
import { toProtoUser } from "./user.rpc.ts";

/** What lifting blocks is made of. */
export interface UnblockServiceParts {
  users: Pick<UserRepository, "find" | "unblock">;
  guard: Pick<SignInGuard, "release">;
  roles(): RolePermissions;
  changes: Pick<Changes, "publish">;
}

/** The part of IdentityService that lifts blocks. */
export function createUnblockService({ users, guard, roles, changes }: UnblockServiceParts) {
  return {
    async unblockUser({ userId }, { values }) {
      const trail = trailOf(values);
      trail.resource = `user/${userId}`;
      const user = await users.find(userId);
      if (user === undefined) throw notFound("user", userId);
      requireAll(requireCaller(values), roles()[user.role], "unblock a user who has it");
      await users.unblock(userId, trail);
      if (user.email !== undefined) await guard.release(user.email.toLowerCase());
      // Keys are forgotten with their user.
      changes.publish([`user:${userId}`]);
      return { user: toProtoUser({ ...user, blockTime: undefined }) };
    },
  } satisfies Partial<ServiceImpl<typeof IdentityService>>;
}
