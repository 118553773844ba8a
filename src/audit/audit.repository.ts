import { randomBytes, randomUUIDv7 } from "node:crypto";
import type { EntityManager } from "@mikro-orm/postgresql";
import { toJsonb, toText } from "../postgres/json.ts";
import type { Postgres } from "../postgres/postgres.ts";
import { detailsDigest } from "./chain.ts";
import type { AuditTrail } from "./trail.ts";

/** The transaction of a change; made by `postgres.work` and `em.transactional`. */
export type Transaction = EntityManager;

/** An event with its place in the chain. */
export interface StoredAuditEvent {
  sequence: number;
  createTime: Date;
  userId: string | undefined;
  apiKeyId: string | undefined;
  action: string;
  resource: string;
  outcome: string;
  requestId: string;
  /** Empty when it was erased. */
  address: string;
  facts: Readonly<Record<string, string>>;
  hash: Buffer;
}

/** Which events to list; undefined: all. */
export interface AuditFilter {
  userId: string | undefined;
  action: string | undefined;
  startTime: Date | undefined;
  endTime: Date | undefined;
}

/** Events as they are written and read. */
export interface AuditRepository {
  /**
   * Writes an event within the caller's transaction, so that it is there if and only if the
   * change is that it tells of.
   */
  insert(em: Transaction, trail: AuditTrail, outcome: string): Promise<void>;
  /** The newest first, those before the sequence; at most `limit`. */
  list(filter: AuditFilter, limit: number, before: number | undefined): Promise<StoredAuditEvent[]>;
  /**
   * Erases what is personal in the events of a user, in the caller's transaction: in what was
   * done to them, and from where they did something to others.
   */
  eraseDetails(em: Transaction, userId: string): Promise<void>;
  /** Erases what is personal in the events before a time. Returns in how many. */
  expireDetails(em: Transaction, before: Date): Promise<number>;
}

const maxTextLength = 512;

/** The events in PostgreSQL. */
export function createAuditRepository(postgres: Postgres): AuditRepository {
  return {
    async insert(em, trail, outcome) {
      const userId = trail.userId ?? trail.call?.facts?.userId ?? null;
      const apiKeyId = trail.apiKeyId ?? trail.call?.facts?.apiKeyId ?? null;
      const address = limited(trail.address);
      const facts = limitedFacts(trail.facts);
      const salt = randomBytes(16);
      const hasDetails = address !== "" || Object.keys(facts).length > 0;
      await em.execute(insertEvent, [
        randomUUIDv7(),
        userId,
        apiKeyId,
        limited(trail.action),
        limited(trail.resource),
        limited(outcome),
        limited(trail.requestId),
        hasDetails ? detailsDigest(salt, address, facts) : null,
        trail.subjectId ?? userId,
        salt,
        address,
        toJsonb(facts),
        hasDetails,
      ]);
    },
    async list(filter, limit, before) {
      const rows = await postgres.read<[string]>(listEvents, [
        before ?? null,
        filter.userId ?? null,
        filter.action ?? null,
        filter.startTime ?? null,
        filter.endTime ?? null,
        limit,
      ]);
      return rows.map(([json]) => toStoredEvent(JSON.parse(json) as EventRow));
    },
    async eraseDetails(em, userId) {
      await em.execute(
        `delete from audit_details where user_id = ? or event_id in (
           select id from audit_events where user_id = ?
         )`,
        [userId, userId],
      );
    },
    async expireDetails(em, before) {
      const rows = await em.execute<unknown[]>(
        "delete from audit_details where create_time < ? returning 1",
        [before],
      );
      return rows.length;
    },
  };
}

/** The clock is the database's, so that the events of all processes have the same. */
const insertEvent = `
  with event as (
    insert into audit_events (id, create_time, user_id, api_key_id, action, resource, outcome,
      request_id, details_digest)
    values (?, clock_timestamp(), ?, ?, ?, ?, ?, ?, ?)
    returning id, create_time
  ), details as (
    insert into audit_details (event_id, create_time, user_id, salt, address, facts)
    select id, create_time, ?::uuid, ?::bytea, ?, ?::jsonb from event where ?::boolean
  )
  insert into audit_pending select id from event`;

type EventRow = [
  sequence: number,
  createTime: number,
  userId: string | null,
  apiKeyId: string | null,
  action: string,
  resource: string,
  outcome: string,
  requestId: string,
  address: string | null,
  facts: Record<string, string> | null,
  hash: string,
];

const listEvents = {
  name: "audit_list",
  text: `
    select json_build_array(audit_links.sequence,
      (extract(epoch from audit_events.create_time) * 1000)::bigint, audit_events.user_id,
      audit_events.api_key_id, audit_events.action, audit_events.resource, audit_events.outcome,
      audit_events.request_id, audit_details.address, audit_details.facts,
      encode(audit_links.hash, 'hex'))::text
    from audit_links join audit_events on audit_events.id = audit_links.event_id
      left join audit_details on audit_details.event_id = audit_events.id
    where ($1::bigint is null or audit_links.sequence < $1)
      and ($2::uuid is null or audit_events.user_id = $2)
      and ($3::text is null or audit_events.action = $3)
      and ($4::timestamptz is null or audit_events.create_time >= $4)
      and ($5::timestamptz is null or audit_events.create_time < $5)
    order by audit_links.sequence desc limit $6`,
};

function toStoredEvent(row: EventRow): StoredAuditEvent {
  return {
    sequence: row[0],
    createTime: new Date(row[1]),
    userId: row[2] ?? undefined,
    apiKeyId: row[3] ?? undefined,
    action: row[4],
    resource: row[5],
    outcome: row[6],
    requestId: row[7],
    address: row[8] ?? "",
    facts: row[9] ?? {},
    hash: Buffer.from(row[10], "hex"),
  };
}

function limited(text: string): string {
  return toText(text.slice(0, maxTextLength).toWellFormed());
}

function limitedFacts(facts: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(facts).map(([name, value]) => [limited(name), limited(value)]),
  );
}
