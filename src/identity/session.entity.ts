import { defineEntity, type InferEntity, p } from "@mikro-orm/core";
import { UserEntity } from "./user.entity.ts";

/** A sign-in that lives on in refresh tokens, of which each replaces the one before. */
export const SessionEntity = defineEntity({
  name: "Session",
  tableName: "sessions",
  properties: {
    /** UUIDv7; `sid` of its access tokens. */
    id: p.uuid().primary(),
    userId: () => p.manyToOne(UserEntity).mapToPk().joinColumn("user_id").deleteRule("cascade"),
    createTime: p.datetime(3).defaultRaw("now()"),
    /** Whatever happens, it ends then. */
    expireTime: p.datetime(3),
    revokeTime: p.datetime(3).nullable(),
    updateTime: p.datetime(3).defaultRaw("now()"),
  },
  indexes: [
    { name: "sessions_user_index", properties: ["userId"] },
    { name: "sessions_update_index", properties: ["updateTime"] },
    { name: "sessions_expire_index", properties: ["expireTime"] },
  ],
});

/** A row of `sessions`. */
export type Session = InferEntity<typeof SessionEntity>;

/** A refresh token, used or not. Used ones are kept: a second use ends the session. */
export const RefreshTokenEntity = defineEntity({
  name: "RefreshToken",
  tableName: "refresh_tokens",
  properties: {
    /** HMAC-SHA256 of the token under the server's secret. */
    hash: p.blob().primary(),
    sessionId: () =>
      p.manyToOne(SessionEntity).mapToPk().joinColumn("session_id").deleteRule("cascade"),
    createTime: p.datetime(3).defaultRaw("now()"),
    useTime: p.datetime(3).nullable(),
  },
  indexes: [{ name: "refresh_tokens_session_index", properties: ["sessionId"] }],
});

/** A row of `refresh_tokens`. */
export type RefreshToken = InferEntity<typeof RefreshTokenEntity>;
