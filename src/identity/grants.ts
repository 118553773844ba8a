import { DomainError, notFound } from "../errors.ts";
import type { Caller } from "./caller.ts";

/** Whom a call means: itself, or anybody else if it has the permission for everybody's. */
export function targetUserId(caller: Caller, userId: string, permission: string): string {
  if (userId === "" || userId === caller.userId) return caller.userId;
  // As if there were no such user: who may not look must not learn that there is one.
  if (!caller.permissions.has(permission)) throw notFound("user", userId);
  return userId;
}

/** Nobody gives, or takes over, what they do not have themselves. */
export function requireAll(caller: Caller, permissions: Iterable<string>, what: string): void {
  for (const permission of permissions) {
    if (!caller.permissions.has(permission)) {
      throw new DomainError(
        "PERMISSION_DENIED",
        "PERMISSION_DENIED",
        `needs ${permission} itself to ${what}`,
        { metadata: { permission } },
      );
    }
  }
}
