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
    passwordHash: p.text().nullable().hidden(),
    createTime: p.datetime(3).defaultRaw("now()"),
    updateTime: p.datetime(3).defaultRaw("now()"),
  },
  uniques: [
    {
      name: "users_email_unique",
      expression: "create unique index users_email_unique on users (lower(email))",
    },
  ],
});

/** A row of `users`. */
export type User = InferEntity<typeof UserEntity>;
