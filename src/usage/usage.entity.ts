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
    /** Whether any of the tokens are Tribe's estimate, since the provider did not tell them. */
    estimated: p.boolean().default(false),
    createTime: p.datetime(3).defaultRaw("now()"),
  },
  indexes: [
    { name: "usage_user_index", properties: ["userId", "createTime"] },
    { name: "usage_time_index", properties: ["createTime"] },
  ],
});

/** A row of `usage`. */
export type Usage = InferEntity<typeof UsageEntity>;

/**
 * Rows of the ledger that are not in `usage_sums` yet. Written with the row, removed in the
 * transaction that adds it to the sums: so both together are the ledger at every moment.
 */
export const UsagePendingEntity = defineEntity({
  name: "UsagePending",
  tableName: "usage_pending",
  properties: { runId: p.uuid().primary() },
});

/** A row of `usage_pending`. */
export type UsagePending = InferEntity<typeof UsagePendingEntity>;

/** How long the time is that a sum covers. */
export const usageGrains = ["hour", "day"] as const;

/**
 * Sums of the ledger by hour and by day, UTC: those of each user and API key, and those of
 * everybody, whose user and key are the nil UUID. So is the key of runs without one.
 */
export const UsageSumEntity = defineEntity({
  name: "UsageSum",
  tableName: "usage_sums",
  properties: {
    userId: p.uuid().primary(),
    grain: p.enum(usageGrains).primary(),
    startTime: p.datetime(3).primary(),
    apiKeyId: p.uuid().primary(),
    model: p.text().primary(),
    provider: p.text().primary(),
    runs: p.bigint("number"),
    /** Of `runs`, those of unknown price, which are not in `costMicros`. */
    runsWithoutPrice: p.bigint("number"),
    /** Of `runs`, those with estimated tokens. */
    runsEstimated: p.bigint("number"),
    inputTokens: p.bigint("number"),
    cachedInputTokens: p.bigint("number"),
    cacheWriteTokens: p.bigint("number"),
    outputTokens: p.bigint("number"),
    reasoningTokens: p.bigint("number"),
    costMicros: p.bigint("bigint"),
  },
  indexes: [
    {
      name: "usage_sums_time_index",
      properties: ["grain", "startTime"],
      where: "user_id <> '00000000-0000-0000-0000-000000000000'",
    },
  ],
});

/** A row of `usage_sums`. */
export type UsageSum = InferEntity<typeof UsageSumEntity>;
