import type { Audit } from "../audit/audit.ts";
import type { AuditTrail } from "../audit/trail.ts";
import type { Changes } from "../changes.ts";
import type { ApiKeyRepository } from "./api-key.repository.ts";
import type { SignInGuard } from "./sign-in-guard.ts";
import type { UserRepository } from "./user.repository.ts";

/** What blocks are made with. */
export interface BlocksParts {
  users: Pick<UserRepository, "block">;
  apiKeys: Pick<ApiKeyRepository, "block">;
  guard: Pick<SignInGuard, "blockAccount" | "blockAddress">;
  audit: Pick<Audit, "write">;
  changes: Pick<Changes, "publish">;
}

/** Refuses somebody, or something of theirs, until a time, in all processes; leaves the trail's event. */
export function createBlocks({ users, apiKeys, guard, audit, changes }: BlocksParts) {
  const secondsUntil = (time: Date) => Math.max(1, Math.ceil((time.getTime() - Date.now()) / 1000));
  return {
    async user(userId: string, until: Date, trail: AuditTrail): Promise<void> {
      await users.block(userId, until, trail);
      changes.publish([`user:${userId}`]);
    },
    async key(apiKeyId: string, until: Date, trail: AuditTrail): Promise<void> {
      await apiKeys.block(apiKeyId, until, trail);
      changes.publish([`key:${apiKeyId}`]);
    },
    /** Only signing in: whoever guesses must not end what the owner has running. */
    async account(account: string, until: Date, trail: AuditTrail): Promise<void> {
      await guard.blockAccount(account, secondsUntil(until));
      await audit.write(trail);
    },
    async address(address: string, until: Date, trail: AuditTrail): Promise<void> {
      await guard.blockAddress(address, secondsUntil(until));
      await audit.write(trail);
    },
  };
}
