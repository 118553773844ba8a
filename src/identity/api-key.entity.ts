import { defineEntity, type InferEntity, p } from "@mikro-orm/core";
import { UserEntity } from "./user.entity.ts";

/** A key for programs. The key itself is not stored. */
export const ApiKeyEntity = defineEntity({
  name: "ApiKey",
  tableName: "api_keys",
  properties: {
    /** UUIDv7. */
    id: p.uuid().primary(),
    userId: () => p.manyToOne(UserEntity).mapToPk().joinColumn("user_id").deleteRule("cascade"),
    name: p.text(),
    /** The key's first characters, to recognise it by. */
    prefix: p.text(),
    /** HMAC-SHA256 of the key under the server's secret. */
    hash: p.blob().hidden(),
    /** Empty: all permissions of the owner. */
    scopes: p.array(),
    /** Limits of this key beside its owner's. Null: none. */
    requestsPerMinute: p.integer().nullable(),
    tokensPerMinute: p.integer().nullable(),
    expireTime: p.datetime(3).nullable(),
    /** To the minute. */
    lastUsedTime: p.datetime(3).nullable(),
    revokeTime: p.datetime(3).nullable(),
    /** Refused until then. Null: not blocked. */
    blockTime: p.datetime(3).nullable(),
    createTime: p.datetime(3).defaultRaw("now()"),
    /** Of what decides whether it is accepted; not of its use. */
    updateTime: p.datetime(3).defaultRaw("now()"),
  },
  indexes: [
    { name: "api_keys_user_index", properties: ["userId", "id"] },
    { name: "api_keys_update_index", properties: ["updateTime"] },
  ],
  uniques: [{ name: "api_keys_hash_unique", properties: ["hash"] }],
});

/** A row of `api_keys`. */
export type ApiKey = InferEntity<typeof ApiKeyEntity>;
