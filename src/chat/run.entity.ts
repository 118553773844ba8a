import { defineEntity, type InferEntity, p } from "@mikro-orm/core";
import { ConversationEntity } from "../conversations/conversation.entity.ts";

/** How a run may stand. */
export const runStates = ["running", "completed", "failed", "cancelled", "interrupted"] as const;

/** One generation: a question that is being answered or has been. */
export const RunEntity = defineEntity({
  name: "Run",
  tableName: "runs",
  properties: {
    /** UUIDv7. */
    id: p.uuid().primary(),
    conversationId: () =>
      p.manyToOne(ConversationEntity).mapToPk().joinColumn("conversation_id").deleteRule("cascade"),
    /** The conversation's owner; here too for the idempotency key. */
    userId: p.uuid(),
    apiKeyId: p.uuid().nullable(),
    userMessageId: p.uuid(),
    assistantMessageId: p.uuid(),
    state: p.enum(runStates),
    /** Sequence of the question; the answer's is the next one. */
    sequence: p.bigint("number"),
    /** The model that was asked, in the end the one that answered. */
    model: p.text(),
    provider: p.text().nullable(),
    errorReason: p.text().nullable(),
    errorMessage: p.text().nullable(),
    idempotencyKey: p.text().nullable(),
    /** SHA-256 of the request that had the idempotency key. */
    requestHash: p.blob().nullable(),
    startTime: p.datetime(3).defaultRaw("now()"),
    endTime: p.datetime(3).nullable(),
    /** When the serving process last said that it is alive. */
    leaseTime: p.datetime(3).nullable(),
  },
  indexes: [
    { name: "runs_conversation_index", properties: ["conversationId"] },
    { name: "runs_running_index", properties: ["startTime"], where: "state = 'running'" },
  ],
  uniques: [
    {
      name: "runs_idempotency_key_unique",
      properties: ["userId", "idempotencyKey"],
      where: "idempotency_key is not null",
    },
  ],
});

/** A row of `runs`. */
export type Run = InferEntity<typeof RunEntity>;
