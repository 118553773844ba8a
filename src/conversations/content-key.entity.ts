import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** Keys that content has been sealed with, so that a process that lacks one is told at its start. */
export const ContentKeyEntity = defineEntity({
  name: "ContentKey",
  tableName: "content_keys",
  properties: {
    /** Tells which key it is; says nothing about it. */
    id: p.text().primary(),
    createTime: p.datetime(3).defaultRaw("now()"),
  },
});

/** A row of `content_keys`. */
export type ContentKey = InferEntity<typeof ContentKeyEntity>;
