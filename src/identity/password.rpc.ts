import type { ServiceImpl } from "@connectrpc/connect";
import type { IdentityService } from "../../gen/tribe/v1/identity_pb.js";
import { trailOf } from "../audit/trail.ts";
import type { Changes } from "../changes.ts";
import { DomainError, invalidField, notFound } from "../errors.ts";
import { requireCaller } from "./caller.ts";
import { requireAll, targetUserId } from "./grants.ts";
import type { Passwords } from "./password.ts";
import type { RolePermissions } from "./roles.ts";
import type { Sessions } from "./sessions.ts";
import type { UserRepository } from "./user.repository.ts";

/** What setting passwords is made of. */
export interface PasswordServiceParts {
  users: UserRepository;
  passwords: Passwords;
  sessions: Pick<Sessions, "checkPassword">;
  roles(): RolePermissions;
  changes: Pick<Changes, "publish">;
}

/** The password part of IdentityService. */
export function createPasswordService(parts: PasswordServiceParts) {
  const { users, passwords, sessions, roles, changes } = parts;
  return {
    async setPassword({ userId: givenId, currentPassword, newPassword }, { values }) {
      const caller = requireCaller(values);
      const trail = trailOf(values);
      trail.resource = `user/${givenId}`;
      const userId = targetUserId(caller, givenId, "users:write");
      const user = await users.find(userId);
      if (user === undefined) throw notFound("user", userId);
      if (user.email === undefined) {
        throw new DomainError(
          "FAILED_PRECONDITION",
          "NO_EMAIL",
          "the user has no e-mail to sign in with; make one who has",
        );
      }
      if (userId === caller.userId && user.hasPassword) {
        if (currentPassword === "")
          throw invalidField("currentPassword", "is needed for one's own");
        // As guarded as signing in: a stolen session is no way to guess the password.
        await sessions.checkPassword(user.email, currentPassword, trail);
      }
      // Who sets a password can be whoever it is for.
      requireAll(caller, roles()[user.role], "set the password of a user who has it");
      trail.subjectId = userId;
      await users.setPassword(userId, await passwords.hash(newPassword), trail);
      changes.publish([`user:${userId}`]);
      return {};
    },
  } satisfies Partial<ServiceImpl<typeof IdentityService>>;
}
