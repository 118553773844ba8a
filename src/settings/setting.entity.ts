import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** A setting that an administrator changed without a restart. */
export const SettingEntity = defineEntity({
  name: "Setting",
  tableName: "settings",
  properties: {
    name: p.text().primary(),
    value: p.json<unknown>(),
    /** Grows with every change. */
    version: p.bigint("number").default(1),
    updateTime: p.datetime(3).defaultRaw("now()"),
  },
});

/** A row of `settings`. */
export type Setting = InferEntity<typeof SettingEntity>;
