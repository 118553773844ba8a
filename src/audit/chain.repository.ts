import type { EntityManager } from "@mikro-orm/postgresql";
import type { DerivedKey } from "../key-ring.ts";
import type { Postgres } from "../postgres/postgres.ts";
import { type ChainedEvent, headSeal, linkHash, noHash } from "./chain.ts";

/** How many events get their place at a time. */
const batchSize = 1000;

/** The columns of an event, as `toChainedEvent` reads them. */
export const chainedColumns = `
  (extract(epoch from audit_events.create_time) * 1000)::bigint::text as create_time,
  audit_events.user_id, audit_events.api_key_id, audit_events.action, audit_events.resource,
  audit_events.outcome, audit_events.request_id, audit_events.details_digest`;

/** A row of `chainedColumns`. */
export interface ChainedRow {
  create_time: string;
  user_id: string | null;
  api_key_id: string | null;
  action: string;
  resource: string;
  outcome: string;
  request_id: string;
  details_digest: Buffer | null;
}

/** What the chain holds fast of a row. */
export function toChainedEvent(eventId: string, row: ChainedRow): ChainedEvent {
  return {
    eventId,
    createTime: Number(row.create_time),
    userId: row.user_id,
    apiKeyId: row.api_key_id,
    action: row.action,
    resource: row.resource,
    outcome: row.outcome,
    requestId: row.request_id,
    detailsDigest: row.details_digest,
  };
}

interface HeadRow {
  sequence: string;
  hash: Buffer;
  seal: Buffer;
  key_id: string;
}

/**
 * Gives events that have none their places at the end of the chain, in one transaction, while
 * the head's row is locked: one process at a time. Returns how many, or `busy` when another
 * process does it and `wait` is false.
 * @throws Error when the head is not as it was sealed: what follows it would look sound.
 */
export function extendChain(
  postgres: Postgres,
  keys: readonly [DerivedKey, ...DerivedKey[]],
  wait: boolean,
): Promise<number | "busy"> {
  return postgres.work((em) =>
    em.transactional(async (em) => {
      const head = await lockHead(em, keys, wait);
      if (head === undefined) return "busy";
      const rows = await em.execute<(ChainedRow & { id: string })[]>(
        `select audit_events.id, ${chainedColumns}
         from audit_pending join audit_events on audit_events.id = audit_pending.event_id
         order by audit_events.id limit ${batchSize}`,
      );
      if (rows.length > 0) await insertLinks(em, keys[0], head, rows);
      return rows.length;
    }),
  );
}

async function insertLinks(
  em: EntityManager,
  key: DerivedKey,
  head: { sequence: number; hash: Buffer },
  rows: (ChainedRow & { id: string })[],
): Promise<void> {
  let { sequence, hash } = head;
  const previousHashes: Buffer[] = [];
  const hashes: Buffer[] = [];
  for (const row of rows) {
    previousHashes.push(hash);
    sequence += 1;
    hash = linkHash(key, hash, sequence, toChainedEvent(row.id, row));
    hashes.push(hash);
  }
  const eventIds = array(rows.map(({ id }) => id));
  await em.execute(
    `with removed as (delete from audit_pending where event_id = any(?::uuid[])),
     head as (
       update audit_head set sequence = ?::bigint, hash = ?::bytea, seal = ?::bytea, key_id = ?
       where id = 1
     )
     insert into audit_links (sequence, event_id, previous_hash, hash, key_id)
     select ?::bigint + link.position, link.event_id, link.previous_hash, link.hash, ?
     from unnest(?::uuid[], ?::bytea[], ?::bytea[]) with ordinality
       as link (event_id, previous_hash, hash, position)`,
    [
      eventIds,
      sequence,
      hash,
      headSeal(key, sequence, hash),
      key.id,
      head.sequence,
      key.id,
      eventIds,
      array(previousHashes.map(bytea)),
      array(hashes.map(bytea)),
    ],
  );
}

/** The chain's end, locked; undefined when another process has it and `wait` is false. */
async function lockHead(
  em: EntityManager,
  keys: readonly [DerivedKey, ...DerivedKey[]],
  wait: boolean,
): Promise<{ sequence: number; hash: Buffer } | undefined> {
  const lock = `select * from audit_head where id = 1 for update ${wait ? "" : "skip locked"}`;
  let [row] = await em.execute<HeadRow[]>(lock);
  if (row === undefined) {
    await em.execute(
      `insert into audit_head (id, sequence, hash, seal, key_id) select 1, 0, ?, ?, ?
       where not exists (select from audit_links) on conflict do nothing`,
      [noHash, headSeal(keys[0], 0, noHash), keys[0].id],
    );
    [row] = await em.execute<HeadRow[]>(lock);
  }
  if (row === undefined) return undefined;
  const sequence = Number(row.sequence);
  const key = keys.find(({ id }) => id === row.key_id);
  if (key === undefined || !headSeal(key, sequence, row.hash).equals(row.seal)) {
    throw new Error("the audit log's end is not as it was sealed: run `npm run audit:verify`");
  }
  return { sequence, hash: row.hash };
}

/** A PostgreSQL array literal of values that need no quoting. */
function array(values: readonly (string | number)[]): string {
  return `{${values.join(",")}}`;
}

function bytea(bytes: Buffer): string {
  return `"\\\\x${bytes.toString("hex")}"`;
}
