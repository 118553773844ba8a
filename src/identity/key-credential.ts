import { unauthenticated } from "../errors.ts";
import { keyedHash, type KeyRing } from "../key-ring.ts";
import { isWholeApiKey, looksLikeApiKey } from "./api-key.ts";
import type { ApiKeyOwner, ApiKeyRepository } from "./api-key.repository.ts";
import type { CredentialKind } from "./authenticator.ts";
import { blockedUntil } from "./credential.ts";
import type { Principal } from "./principal-cache.ts";
import type { RolePermissions } from "./roles.ts";

/** What the look-up of API keys is made of. */
export interface KeyCredentialParts {
  apiKeys: Pick<ApiKeyRepository, "findOwner" | "rehash">;
  keyRing: KeyRing;
  roles(): RolePermissions;
}

/** A principal is looked up again after this time, should every message of a change get lost. */
export const principalLifetimeMs = 300_000;

/** What is stored instead of an API key. */
export function hashApiKey(keyRing: KeyRing, apiKey: string): Buffer {
  return keyedHash(keyRing.derive("credentials")[0].key, apiKey);
}

/** API keys as credentials. */
export function createKeyCredential({
  apiKeys,
  keyRing,
  roles,
}: KeyCredentialParts): CredentialKind {
  const keys = keyRing.derive("credentials");
  return {
    matches: looksLikeApiKey,
    async lookUp(apiKey) {
      if (!isWholeApiKey(apiKey)) {
        throw unauthenticated("the API key is not whole: its form or its checksum is wrong");
      }
      const hashes = keys.map(({ key }) => keyedHash(key, apiKey));
      const owner = await apiKeys.findOwner(hashes);
      if (owner === undefined) return undefined;
      refuseDead(owner);
      const [hash] = hashes;
      if (owner.hashPosition > 1 && hash !== undefined) await apiKeys.rehash(owner.apiKeyId, hash);
      return toPrincipal(owner, roles());
    },
  };
}

/** Whoever has the key may know why it does not work. */
function refuseDead(owner: ApiKeyOwner) {
  if (owner.isRevoked) throw unauthenticated("the API key was revoked");
  if (owner.expireTime !== undefined && owner.expireTime.getTime() <= Date.now()) {
    throw unauthenticated("the API key has expired");
  }
  if (owner.isDisabled) throw unauthenticated("the user of the API key is disabled");
  if (owner.blockTime !== undefined && owner.blockTime.getTime() > Date.now()) {
    throw blockedUntil(owner.blockTime);
  }
}

function toPrincipal(owner: ApiKeyOwner, roles: RolePermissions): Principal {
  const { apiKeyId, userId, role, scopes, limits, expireTime } = owner;
  const permissions = roles[role];
  return {
    caller: {
      userId,
      apiKeyId,
      role,
      permissions: scopes.length === 0 ? permissions : permissions.intersection(new Set(scopes)),
      ...(Object.keys(limits).length > 0 && { limits }),
    },
    subjects: [`user:${userId}`, `key:${apiKeyId}`],
    expireTime: Math.min(Date.now() + principalLifetimeMs, expireTime?.getTime() ?? Infinity),
  };
}
