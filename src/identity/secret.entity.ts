import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** A secret that all processes share, where the configuration gives none. */
export const SecretEntity = defineEntity({
  name: "Secret",
  tableName: "secrets",
  properties: {
    name: p.text().primary(),
    value: p.blob().hidden(),
    createTime: p.datetime(3).defaultRaw("now()"),
  },
});

/** A row of `secrets`. */
export type Secret = InferEntity<typeof SecretEntity>;
