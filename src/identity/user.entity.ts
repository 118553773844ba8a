import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** What a user may be. */
export const userRoles = ["viewer", "user", "admin", "service"] as const;

/** Somebody, or some service, that calls us. */
export const UserEntity = defineEntity({
  name: "User",
  tableName: "users",
  properties: {
    /** UUIDv7. */
    id: p.uuid().primary(),
    /** Unique whatever its case. */
    email: p.text().nullable(),
    displayName: p.text().default(""),
    role: p.enum(userRoles),
    disabled: p.boolean().default(false),
    /** Argon2id in PHC format. Null: signs in with keys or foreign tokens only. */
    passwordHash: p.text().nullable().hidden(),
    /** Nothing of theirs is accepted until then. Null: not blocked. */
    blockTime: p.datetime(3).nullable(),
    createTime: p.datetime(3).defaultRaw("now()"),
    updateTime: p.datetime(3).defaultRaw("now()"),
  },
  indexes: [{ name: "users_update_index", properties: ["updateTime"] }],
  uniques: [
    {
      name: "users_email_unique",
      expression: "create unique index users_email_unique on users (lower(email))",
    },
  ],
});

/** A row of `users`. */
export type User = InferEntity<typeof UserEntity>;
