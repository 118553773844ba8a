import { defineEntity, type InferEntity, p } from "@mikro-orm/core";
import { ApiKeyEntity } from "../identity/api-key.entity.ts";
import { UserEntity } from "../identity/user.entity.ts";

/** What may be spent by a user, by an API key or by everybody. */
export const BudgetEntity = defineEntity({
  name: "Budget",
  tableName: "budgets",
  properties: {
    /** `everyone`, `user:<id>` or `key:<id>`. */
    subject: p.text().primary(),
    userId: () =>
      p
        .manyToOne(UserEntity)
        .mapToPk()
        .joinColumn("user_id")
        .deleteRule("cascade")
        .nullable()
        .index("budgets_user_index"),
    apiKeyId: () =>
      p
        .manyToOne(ApiKeyEntity)
        .mapToPk()
        .joinColumn("api_key_id")
        .deleteRule("cascade")
        .nullable()
        .index("budgets_key_index"),
    /** Millionths of a US dollar for a day, UTC. Null: no limit, whatever the default is. */
    dailyMicros: p.bigint("bigint").nullable(),
    /** The same for a month. */
    monthlyMicros: p.bigint("bigint").nullable(),
    updateTime: p.datetime(3).defaultRaw("now()"),
  },
  indexes: [{ name: "budgets_update_index", properties: ["updateTime"] }],
});

/** A row of `budgets`. */
export type Budget = InferEntity<typeof BudgetEntity>;

/**
 * What runs that are under way may cost at most. A row is written before the provider is called,
 * and removed by the statement that writes the run's row of the ledger.
 */
export const BudgetReservationEntity = defineEntity({
  name: "BudgetReservation",
  tableName: "budget_reservations",
  properties: {
    runId: p.uuid().primary(),
    userId: p.uuid(),
    apiKeyId: p.uuid().nullable(),
    /** Millionths of a US dollar. */
    micros: p.bigint("bigint"),
    createTime: p.datetime(3).defaultRaw("clock_timestamp()"),
  },
});

/** A row of `budget_reservations`. */
export type BudgetReservation = InferEntity<typeof BudgetReservationEntity>;
