import type { ServiceImpl } from "@connectrpc/connect";
import type { IdentityService } from "../../gen/tribe/v1/identity_pb.js";
import { trailOf } from "../audit/trail.ts";
import { notFound } from "../errors.ts";
import { requireCaller } from "./caller.ts";
import { requireAll, targetUserId } from "./grants.ts";
import type { PersonalDataService } from "./personal-data.ts";
import type { RolePermissions } from "./roles.ts";
import type { UserRepository } from "./user.repository.ts";
import { refuseToTouchAdministrator } from "./user.rpc.ts";

/** What erasing and exporting over RPC is made of. */
export interface PersonalDataServiceParts {
  personalData: PersonalDataService;
  users: Pick<UserRepository, "find">;
  roles(): RolePermissions;
}

/** The data protection part of IdentityService. */
export function createPersonalDataRpc({ personalData, users, roles }: PersonalDataServiceParts) {
  return {
    async deleteUser({ userId }, { values }) {
      const trail = trailOf(values);
      trail.resource = `user/${userId}`;
      const user = await users.find(userId);
      if (user === undefined) throw notFound("user", userId);
      refuseToTouchAdministrator(userId, undefined, true);
      requireAll(requireCaller(values), roles()[user.role], "erase a user who has it");
      await personalData.erase(userId, trail);
      return {};
    },

    async *exportUserData(request, { values, responseHeader }) {
      const trail = trailOf(values);
      trail.resource = `user/${request.userId}`;
      const userId = targetUserId(requireCaller(values), request.userId, "users:read");
      if ((await users.find(userId)) === undefined) throw notFound("user", userId);
      responseHeader.set("content-disposition", `attachment; filename="user-${userId}.jsonl"`);
      for await (const data of personalData.export(userId)) {
        yield {
          $typeName: "google.api.HttpBody" as const,
          contentType: "application/jsonl; charset=utf-8",
          data,
          extensions: [],
        };
      }
    },
  } satisfies Partial<ServiceImpl<typeof IdentityService>>;
}
