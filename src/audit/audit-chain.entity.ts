import { defineEntity, type InferEntity, p } from "@mikro-orm/core";

/** The chain: gives each event its place and holds it there. Only ever added to. */
export const AuditLinkEntity = defineEntity({
  name: "AuditLink",
  tableName: "audit_links",
  properties: {
    /** Position in the log, from 1, without gaps. */
    sequence: p.bigint("number").primary().autoincrement(false),
    eventId: p.uuid(),
    /** The `hash` of the link before; 32 zero bytes before the first. */
    previousHash: p.blob(),
    /** HMAC-SHA256 over the previous hash, the sequence and the event. */
    hash: p.blob(),
    /** Which secret it was made with. */
    keyId: p.text(),
  },
  uniques: [{ name: "audit_links_event_unique", properties: ["eventId"] }],
});

/** A row of `audit_links`. */
export type AuditLink = InferEntity<typeof AuditLinkEntity>;

/** An event that has no link yet. Written with the event, removed with its linking. */
export const AuditPendingEntity = defineEntity({
  name: "AuditPending",
  tableName: "audit_pending",
  properties: { eventId: p.uuid().primary() },
});

/** The chain's end, in one row, which whoever extends the chain locks. */
export const AuditHeadEntity = defineEntity({
  name: "AuditHead",
  tableName: "audit_head",
  properties: {
    /** Always 1. */
    id: p.smallint().primary().autoincrement(false),
    sequence: p.bigint("number"),
    hash: p.blob(),
    /** HMAC-SHA256 of both: who cuts links off the end cannot make one that fits. */
    seal: p.blob(),
    keyId: p.text(),
  },
});

/** The row of `audit_head`. */
export type AuditHead = InferEntity<typeof AuditHeadEntity>;
