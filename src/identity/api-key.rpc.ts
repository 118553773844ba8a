import type { ServiceImpl } from "@connectrpc/connect";
import { timestampDate, timestampFromDate } from "@bufbuild/protobuf/wkt";
import type {
  ApiKey,
  CreateApiKeyRequest,
  IdentityService,
  KeyLimits,
} from "../../gen/tribe/v1/identity_pb.js";
import { leaveUnrecorded, trailOf } from "../audit/trail.ts";
import type { Changes } from "../changes.ts";
import { DomainError, invalidField, notFound } from "../errors.ts";
import { decodePageToken, encodePageToken } from "../page-token.ts";
import { apiKeyPrefix, type KeyEnvironment, makeApiKey } from "./api-key.ts";
import type { ApiKeyRepository, StoredApiKey } from "./api-key.repository.ts";
import { type Caller, type CallerLimits, requireCaller } from "./caller.ts";
import { requireAll, targetUserId } from "./grants.ts";
import { isIdCursor } from "./id-cursor.ts";
import { blockExpireTime } from "./user.rpc.ts";
import { allPermissions, type RoleName, type RolePermissions } from "./roles.ts";

/** What the API key part of IdentityService is made of. */
export interface ApiKeyServiceParts {
  apiKeys: ApiKeyRepository;
  /** The role of a user; undefined: there is no such user. */
  findRole(userId: string): Promise<RoleName | undefined>;
  roles(): RolePermissions;
  hash(apiKey: string): Buffer;
  environment: KeyEnvironment;
  changes: Pick<Changes, "publish">;
}

/** How many keys a page has unless told otherwise. */
const defaultPageSize = 50;
/** How long an old key works on unless told otherwise. */
const defaultOverlapMs = 24 * 3_600_000;

/** The API key part of IdentityService: from the contract to the repository and back. */
export function createApiKeyService(parts: ApiKeyServiceParts) {
  const { apiKeys, changes, environment } = parts;

  async function permissionsOf(userId: string, scopes: readonly string[]) {
    const role = await parts.findRole(userId);
    if (role === undefined) throw notFound("user", userId);
    const permissions = parts.roles()[role];
    return scopes.length === 0 ? permissions : permissions.intersection(new Set(scopes));
  }
  async function findForCaller(caller: Caller, apiKeyId: string, permission: string) {
    const found = await apiKeys.find(apiKeyId);
    const isTheirs = found?.userId === caller.userId || caller.permissions.has(permission);
    if (found === undefined || !isTheirs) throw notFound("API key", apiKeyId);
    return found;
  }

  return {
    async createApiKey(request, { values }) {
      const caller = requireCaller(values);
      const userId = targetUserId(caller, request.userId, "users:write");
      const scopes = checkedScopes(request.scopes);
      const permissions = await permissionsOf(userId, scopes);
      const excess = scopes.find((scope) => !permissions.has(scope));
      if (excess !== undefined) {
        throw invalidField("scopes", `${excess} is nothing that the key's user may do`);
      }
      requireAll(caller, permissions, "make a key that has it; name fewer scopes");
      const secret = makeApiKey(environment);
      const trail = trailOf(values);
      const created = await apiKeys.create(
        {
          userId,
          name: request.name,
          prefix: apiKeyPrefix(secret),
          hash: parts.hash(secret),
          scopes,
          limits: fromProtoLimits(request.limits),
          expireTime: futureTime(request),
        },
        trail,
      );
      return { apiKey: toProtoApiKey(created), secret };
    },

    async listApiKeys({ userId: givenId, pageSize, pageToken }, { values }) {
      const trail = trailOf(values);
      if (givenId !== "") trail.resource = `user/${givenId}`;
      const caller = requireCaller(values);
      const userId = targetUserId(caller, givenId, "users:read");
      if (userId === caller.userId) leaveUnrecorded(trail);
      const limit = pageSize || defaultPageSize;
      const scope = ["ListApiKeys", userId];
      const after = decodePageToken(pageToken, scope, isIdCursor)?.[0];
      const found = await apiKeys.list(userId, limit + 1, after);
      const page = found.slice(0, limit);
      const last = found.length > limit ? page.at(-1) : undefined;
      return {
        apiKeys: page.map(toProtoApiKey),
        nextPageToken: last === undefined ? "" : encodePageToken(scope, [last.apiKeyId]),
      };
    },

    async rotateApiKey({ apiKeyId, overlap }, { values }) {
      const caller = requireCaller(values);
      const trail = trailOf(values);
      trail.resource = `api_key/${apiKeyId}`;
      const old = await findForCaller(caller, apiKeyId, "users:write");
      requireAll(caller, await permissionsOf(old.userId, old.scopes), "rotate a key that has it");
      const secret = makeApiKey(environment);
      const overlapMs =
        overlap === undefined
          ? defaultOverlapMs
          : Number(overlap.seconds) * 1000 + Math.floor(overlap.nanos / 1e6);
      const rotated = await apiKeys.rotate(
        apiKeyId,
        {
          userId: old.userId,
          name: old.name,
          prefix: apiKeyPrefix(secret),
          hash: parts.hash(secret),
          scopes: old.scopes,
          limits: old.limits,
          expireTime: sameLifetime(old),
        },
        overlapMs,
        trail,
      );
      if (rotated === "not_alive") {
        throw new DomainError(
          "FAILED_PRECONDITION",
          "API_KEY_NOT_ALIVE",
          "the API key was revoked or has expired; make a new one",
        );
      }
      changes.publish([`key:${apiKeyId}`, ...rotated.changes]);
      return { apiKey: toProtoApiKey(rotated.apiKey), secret };
    },

    async revokeApiKey({ apiKeyId }, { values }) {
      const trail = trailOf(values);
      trail.resource = `api_key/${apiKeyId}`;
      await findForCaller(requireCaller(values), apiKeyId, "users:write");
      await apiKeys.revoke(apiKeyId, trail);
      changes.publish([`key:${apiKeyId}`]);
      return {};
    },
  } satisfies Partial<ServiceImpl<typeof IdentityService>>;
}

/** A key, for a caller. */
export function toProtoApiKey(stored: StoredApiKey): ApiKey {
  const { expireTime, lastUsedTime, revokeTime, limits } = stored;
  return {
    $typeName: "tribe.v1.ApiKey",
    apiKeyId: stored.apiKeyId,
    userId: stored.userId,
    name: stored.name,
    prefix: stored.prefix,
    scopes: [...stored.scopes],
    createTime: timestampFromDate(stored.createTime),
    ...(expireTime && { expireTime: timestampFromDate(expireTime) }),
    ...(lastUsedTime && { lastUsedTime: timestampFromDate(lastUsedTime) }),
    ...(revokeTime && { revokeTime: timestampFromDate(revokeTime) }),
    ...blockExpireTime(stored.blockTime),
    ...(Object.keys(limits).length > 0 && {
      limits: {
        $typeName: "tribe.v1.KeyLimits",
        requestsPerMinute: limits.requestsPerMinute ?? 0,
        tokensPerMinute: limits.tokensPerMinute ?? 0,
      },
    }),
  };
}

function checkedScopes(scopes: readonly string[]): string[] {
  const unknown = scopes.findIndex((scope) => !allPermissions.has(scope));
  if (unknown >= 0) {
    const all = [...allPermissions].sort().join(", ");
    throw invalidField(`scopes[${unknown}]`, `is no permission; there are ${all}`);
  }
  return [...new Set(scopes)];
}

function fromProtoLimits(limits: KeyLimits | undefined): CallerLimits {
  return {
    ...(limits?.requestsPerMinute && { requestsPerMinute: limits.requestsPerMinute }),
    ...(limits?.tokensPerMinute && { tokensPerMinute: limits.tokensPerMinute }),
  };
}

function futureTime({ expireTime }: CreateApiKeyRequest): Date | undefined {
  if (expireTime === undefined) return undefined;
  const time = timestampDate(expireTime);
  if (time.getTime() > Date.now()) return time;
  throw invalidField("expireTime", "is not in the future; leave it out for a key without end");
}

/** A successor lives as long as its predecessor was to live. */
function sameLifetime({ createTime, expireTime }: StoredApiKey): Date | undefined {
  if (expireTime === undefined) return undefined;
  return new Date(Date.now() + expireTime.getTime() - createTime.getTime());
}
