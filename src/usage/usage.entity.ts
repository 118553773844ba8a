import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/**
 * The ledger: what one run used and cost. A run has one row at most, so nothing is
 * billed twice. It outlives its conversation and its user, so it has no foreign keys.
 */
export const UsageEntity = defineEntity({
  name: "Usage",
  tableName: "usage",
  properties: {
    runId: p.uuid().primary(),
    userId: p.uuid(),
    apiKeyId: p.uuid().nullable(),
    conversationId: p.uuid(),
    model: p.text(),
    provider: p.text(),
    /** All input tokens, cached ones included. */
    inputTokens: p.bigint("number"),
    cachedInputTokens: p.bigint("number"),
    cacheWriteTokens: p.bigint("number"),
    /** All output tokens, reasoning included. */
    outputTokens: p.bigint("number"),
    reasoningTokens: p.bigint("number"),
    /** Millionths of a US dollar; null when the price is not known. */
    costMicros: p.bigint("bigint").nullable(),
    /** Which price table the cost was computed from. */
    priceVersion: p.text(),
    createTime: p.datetime(3).defaultRaw("now()"),
  },
  indexes: [
    { name: "usage_user_index", properties: ["userId", "createTime"] },
    { name: "usage_time_index", properties: ["createTime"] },
  ],
});

/** A row of `usage`. */
export type Usage = InferEntity<typeof UsageEntity>;
