import { defineEntity, type InferEntity, p } from "@mikro-orm/core";
import { UserEntity } from "./user.entity.ts";

/** Whom another issuer's tokens mean. */
export const ForeignIdentityEntity = defineEntity({
  name: "ForeignIdentity",
  tableName: "foreign_identities",
  properties: {
    /** `iss` of the tokens. */
    issuer: p.text().primary(),
    /** `sub` of the tokens. */
    subject: p.text().primary(),
    userId: () => p.manyToOne(UserEntity).mapToPk().joinColumn("user_id").deleteRule("cascade"),
    createTime: p.datetime(3).defaultRaw("now()"),
  },
  indexes: [{ name: "foreign_identities_user_index", properties: ["userId"] }],
});

/** A row of `foreign_identities`. */
export type ForeignIdentity = InferEntity<typeof ForeignIdentityEntity>;
