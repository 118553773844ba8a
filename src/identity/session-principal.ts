import { unauthenticated } from "../errors.ts";
import { blockedUntil } from "./credential.ts";
import { principalLifetimeMs } from "./key-credential.ts";
import type { Principal } from "./principal-cache.ts";
import type { RolePermissions } from "./roles.ts";
import type { SessionOwner } from "./session.repository.ts";

/** Who holds a session, if it and its user may do anything. Fails with UNAUTHENTICATED. */
export function toSessionPrincipal(
  owner: SessionOwner | undefined,
  roles: RolePermissions,
): Principal {
  if (owner === undefined) throw unauthenticated("the session or its user does not exist");
  refuseEnded(owner);
  const { sessionId, userId, role } = owner;
  return {
    caller: { userId, sessionId, role, permissions: roles[role] },
    subjects: [`user:${userId}`, `session:${sessionId}`],
    expireTime: Math.min(Date.now() + principalLifetimeMs, owner.expireTime.getTime()),
  };
}

/** Whoever holds a session may know why it does not go on. */
export function refuseEnded(owner: SessionOwner): void {
  if (owner.isRevoked) throw unauthenticated("the session was ended; sign in again");
  if (owner.expireTime.getTime() <= Date.now()) {
    throw unauthenticated("the session has expired; sign in again");
  }
  if (owner.isDisabled) throw unauthenticated("the user is disabled");
  if (owner.blockTime !== undefined && owner.blockTime.getTime() > Date.now()) {
    throw blockedUntil(owner.blockTime);
  }
}
