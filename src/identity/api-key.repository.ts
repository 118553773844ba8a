import { randomUUIDv7 } from "node:crypto";
import { type EntityManager, raw } from "@mikro-orm/postgresql";
import type { Audit } from "../audit/audit.ts";
import type { AuditTrail } from "../audit/trail.ts";
import type { Postgres } from "../postgres/postgres.ts";
import { toText } from "../postgres/json.ts";
import { type ApiKey, ApiKeyEntity } from "./api-key.entity.ts";
import { keyByHash, touchKeys } from "./api-key.statements.ts";
import type { CallerLimits } from "./caller.ts";
import type { RoleName } from "./roles.ts";

/** A key as it is stored, without its hash. */
export interface StoredApiKey {
  apiKeyId: string;
  userId: string;
  name: string;
  prefix: string;
  /** Empty: all permissions of the owner. */
  scopes: readonly string[];
  limits: CallerLimits;
  expireTime: Date | undefined;
  /** To the minute. */
  lastUsedTime: Date | undefined;
  createTime: Date;
  revokeTime: Date | undefined;
  /** Refused until then. */
  blockTime: Date | undefined;
}

/** What is decided about a new key. */
export interface NewApiKey {
  userId: string;
  name: string;
  prefix: string;
  hash: Buffer;
  scopes: readonly string[];
  limits: CallerLimits;
  expireTime: Date | undefined;
}

/** What decides whether a key is accepted, and as whom. */
export interface ApiKeyOwner {
  apiKeyId: string;
  /** Which of the asked hashes it has, from 1. */
  hashPosition: number;
  scopes: readonly string[];
  limits: CallerLimits;
  expireTime: Date | undefined;
  isRevoked: boolean;
  userId: string;
  role: RoleName;
  isDisabled: boolean;
  /** Neither the key nor its owner is accepted until then. */
  blockTime: Date | undefined;
}

/**
 * Gives the successor of a rotated key what another room keeps of its predecessor, in the same
 * transaction. Resolves to the changes that all processes are to be told of then.
 */
export type Inherit = (
  em: EntityManager,
  apiKeyId: string,
  successorId: string,
) => Promise<readonly string[]>;

/** The successor of a rotated key. */
export interface RotatedApiKey {
  apiKey: StoredApiKey;
  /** What all processes are to be told of. */
  changes: readonly string[];
}

/** API keys in PostgreSQL. Every change leaves an audit event in its transaction. */
export interface ApiKeyRepository {
  /** The key that has one of these hashes: of a key under all the server's secrets. */
  findOwner(hashes: readonly Buffer[]): Promise<ApiKeyOwner | undefined>;
  find(apiKeyId: string): Promise<StoredApiKey | undefined>;
  /** The newest first, those after the cursor; at most `limit`. */
  list(userId: string, limit: number, after: string | undefined): Promise<StoredApiKey[]>;
  /** The trail's resource becomes the new key. */
  create(key: NewApiKey, trail: AuditTrail): Promise<StoredApiKey>;
  /** Makes the successor, which the trail then names, and ends the old one after the overlap; not if that is not alive. */
  rotate(
    apiKeyId: string,
    successor: NewApiKey,
    overlapMs: number,
    trail: AuditTrail,
  ): Promise<RotatedApiKey | "not_alive">;
  /** Also what is revoked already. */
  revoke(apiKeyId: string, trail: AuditTrail): Promise<void>;
  /** Hashes a key anew, under the newest secret. */
  rehash(apiKeyId: string, hash: Buffer): Promise<void>;
  /** Notes that keys were used in this minute. */
  touch(apiKeyIds: readonly string[]): Promise<void>;
  /** Refuses a key until then. */
  block(apiKeyId: string, until: Date, trail: AuditTrail): Promise<void>;
}

/** The API keys in PostgreSQL. `inherit`: for those who rotate keys. */
export function createApiKeyRepository(
  postgres: Postgres,
  audit: Audit,
  inherit: Inherit = () => Promise.resolve([]),
): ApiKeyRepository {
  return {
    async findOwner(hashes) {
      const [row] = await postgres.query<[string]>(keyByHash, [hashes]);
      return row && toOwner(JSON.parse(row[0]) as OwnerRow);
    },
    find: (id) =>
      postgres.work(async (em) => {
        const row = await em.findOne(ApiKeyEntity, { id });
        return row === null ? undefined : toStoredApiKey(row);
      }),
    list: (userId, limit, after) =>
      postgres.work(async (em) => {
        const where = { userId, ...(after !== undefined && { id: { $lt: after } }) };
        const rows = await em.find(ApiKeyEntity, where, { orderBy: { id: "desc" }, limit });
        return rows.map(toStoredApiKey);
      }),
    create: (key, trail) =>
      postgres.work((em) =>
        em.transactional(async (em) => {
          const row = em.create(ApiKeyEntity, toRow(key));
          await em.flush();
          trail.resource = `api_key/${row.id}`;
          await audit.record(em, trail);
          return toStoredApiKey(row);
        }),
      ),
    rotate: (id, successor, overlapMs, trail) =>
      postgres.work((em) =>
        em.transactional(async (em) => {
          const ended = await em.execute<unknown[]>(
            `update api_keys set update_time = now(), expire_time =
               least(expire_time, now() + ? * interval '1 millisecond')
             where id = ? and revoke_time is null and (expire_time is null or expire_time > now())
             returning 1`,
            [overlapMs, id],
          );
          if (ended.length === 0) return "not_alive";
          const row = em.create(ApiKeyEntity, toRow(successor));
          await em.flush();
          const changes = await inherit(em, id, row.id);
          trail.facts["successor"] = row.id;
          await audit.record(em, trail);
          return { apiKey: toStoredApiKey(row), changes };
        }),
      ),
    revoke: (id, trail) =>
      postgres.work((em) =>
        em.transactional(async (em) => {
          await em.execute(
            `update api_keys set revoke_time = now(), update_time = now()
             where id = ? and revoke_time is null`,
            [id],
          );
          await audit.record(em, trail);
        }),
      ),
    rehash: (id, hash) =>
      postgres.work(async (em) => void (await em.nativeUpdate(ApiKeyEntity, { id }, { hash }))),
    async touch(apiKeyIds) {
      await postgres.query(touchKeys, [apiKeyIds]);
    },
    block: (id, until, trail) =>
      postgres.work((em) =>
        em.transactional(async (em) => {
          const updateTime = raw<Date>("now()");
          await em.nativeUpdate(ApiKeyEntity, { id }, { blockTime: until, updateTime });
          await audit.record(em, trail);
        }),
      ),
  };
}

function toRow({ limits, expireTime, scopes, name, ...key }: NewApiKey) {
  return {
    id: randomUUIDv7(),
    ...key,
    name: toText(name),
    scopes: [...scopes],
    requestsPerMinute: limits.requestsPerMinute ?? null,
    tokensPerMinute: limits.tokensPerMinute ?? null,
    expireTime: expireTime ?? null,
  };
}

function toStoredApiKey(row: ApiKey): StoredApiKey {
  return {
    apiKeyId: row.id,
    userId: row.userId,
    name: row.name,
    prefix: row.prefix,
    scopes: row.scopes,
    limits: toLimits(row.requestsPerMinute ?? null, row.tokensPerMinute ?? null),
    expireTime: row.expireTime ?? undefined,
    lastUsedTime: row.lastUsedTime ?? undefined,
    createTime: row.createTime,
    revokeTime: row.revokeTime ?? undefined,
    blockTime: row.blockTime ?? undefined,
  };
}

type OwnerRow = [
  apiKeyId: string,
  hashPosition: number,
  scopes: string[],
  requestsPerMinute: number | null,
  tokensPerMinute: number | null,
  expireTime: number | null,
  isRevoked: boolean,
  userId: string,
  role: RoleName,
  isDisabled: boolean,
  blockTime: number | null,
];

function toOwner(row: OwnerRow): ApiKeyOwner {
  return {
    apiKeyId: row[0],
    hashPosition: row[1],
    scopes: row[2],
    limits: toLimits(row[3], row[4]),
    expireTime: row[5] === null ? undefined : new Date(row[5]),
    isRevoked: row[6],
    userId: row[7],
    role: row[8],
    isDisabled: row[9],
    blockTime: row[10] === null ? undefined : new Date(row[10]),
  };
}

function toLimits(requests: number | null, tokens: number | null): CallerLimits {
  return {
    ...(requests !== null && { requestsPerMinute: requests }),
    ...(tokens !== null && { tokensPerMinute: tokens }),
  };
}
