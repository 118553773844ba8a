import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/**
 * What somebody did. Rows are only ever added: a trigger and the missing privileges refuse
 * everything else. It outlives its user, so it has no foreign keys and nothing personal but
 * ids; what is personal stands in `audit_details`, and here only its digest.
 */
export const AuditEventEntity = defineEntity({
  name: "AuditEvent",
  tableName: "audit_events",
  properties: {
    /** UUIDv7. */
    id: p.uuid().primary(),
    createTime: p.datetime(3),
    /** Who did it. Null: nobody was signed in. */
    userId: p.uuid().nullable(),
    apiKeyId: p.uuid().nullable(),
    /** For example `identity.key.create`. */
    action: p.text(),
    /** For example `api_key/0198…`. */
    resource: p.text(),
    /** `ok`, or the reason why it was refused. */
    outcome: p.text(),
    requestId: p.text(),
    /** SHA-256 of the details and their salt. Null: it has none. */
    detailsDigest: p.blob().nullable(),
  },
  indexes: [
    { name: "audit_events_user_index", properties: ["userId", "id"] },
    { name: "audit_events_action_index", properties: ["action", "id"] },
  ],
});

/** A row of `audit_events`. */
export type AuditEventRow = InferEntity<typeof AuditEventEntity>;

/** What is personal in an event; erased with its user, after which the digest tells nothing. */
export const AuditDetailsEntity = defineEntity({
  name: "AuditDetails",
  tableName: "audit_details",
  properties: {
    eventId: p.uuid().primary(),
    /** Whose it is: erased with them. */
    userId: p.uuid().nullable(),
    createTime: p.datetime(3),
    /** 128 random bits: without them nobody can guess details by their digest. */
    salt: p.blob(),
    /** Where the request came from. */
    address: p.text(),
    /** What more there is to know. */
    facts: p.json<Record<string, string>>(),
  },
  indexes: [
    { name: "audit_details_user_index", properties: ["userId"] },
    { name: "audit_details_time_index", properties: ["createTime"] },
  ],
});

/** A row of `audit_details`. */
export type AuditDetails = InferEntity<typeof AuditDetailsEntity>;
