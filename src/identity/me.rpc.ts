import type { ServiceImpl } from "@connectrpc/connect";
import type { IdentityService } from "../../gen/tribe/v1/identity_pb.js";
import { unauthenticated } from "../errors.ts";
import { requireCaller } from "./caller.ts";
import type { UserRepository } from "./user.repository.ts";
import { toProtoUser } from "./user.rpc.ts";

/** What the caller's own part of IdentityService is made of. */
export interface MeServiceParts {
  users: Pick<UserRepository, "find">;
}

/** Says to callers who they are. */
export function createMeService({ users }: MeServiceParts) {
  return {
    async getMe(_request, { values }) {
      const { userId, permissions } = requireCaller(values);
      const user = await users.find(userId);
      if (user === undefined) throw unauthenticated("the user was erased");
      return { user: toProtoUser(user), permissions: [...permissions].sort() };
    },
  } satisfies Partial<ServiceImpl<typeof IdentityService>>;
}
