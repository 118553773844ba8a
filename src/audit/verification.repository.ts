import { type EntityManager, IsolationLevel } from "@mikro-orm/postgresql";
import type { DerivedKey } from "../key-ring.ts";
import type { Postgres } from "../postgres/postgres.ts";
import { type ChainedEvent, detailsDigest } from "./chain.ts";
import { chainedColumns, type ChainedRow, toChainedEvent } from "./chain.repository.ts";
import { type ChainFault, type StoredHead, type StoredLink, walkChain } from "./verification.ts";

/** What a check of the whole log found. */
export interface Verification {
  /** Events whose place and content are as they were. */
  checked: number;
  /** The first that is wrong; undefined: none. */
  fault: ChainFault | undefined;
}

/** Links read at a time. */
const batchSize = 2000;

/** The action by which a user is erased; its resource is `user/<id>`. */
export const eraseAction = "identity.user.delete";
/** The action by which old details expire; its resource is `audit_details/before/<ISO time>`. */
export const expireAction = "audit.detail.expire";
export const expireResource = "audit_details/before/";

/**
 * Recomputes the whole chain in one snapshot, beside whatever is written meanwhile. Finds
 * edited, removed, moved and slipped-in events, and links cut off the end.
 */
export function verifyChain(
  postgres: Postgres,
  keys: readonly DerivedKey[],
): Promise<Verification> {
  return postgres.work((em) =>
    em.transactional((em) => verify(em, keys), {
      isolationLevel: IsolationLevel.REPEATABLE_READ,
      readOnly: true,
    }),
  );
}

async function verify(em: EntityManager, keys: readonly DerivedKey[]): Promise<Verification> {
  const walk = walkChain(keys, await findErasures(em));
  for (let after = Number.MIN_SAFE_INTEGER; ;) {
    const links = await readLinks(em, after);
    for (const link of links) {
      const fault = walk.step(link);
      if (fault !== undefined) return { checked: walk.checked, fault };
    }
    const last = links.at(-1);
    if (last === undefined) break;
    after = last.sequence;
  }
  const fault = walk.end(await readHead(em)) ?? (await findUnlinked(em, walk.checked));
  return { checked: walk.checked, fault };
}

type LinkRow = {
  sequence: string;
  event_id: string;
  previous_hash: Buffer;
  hash: Buffer;
  key_id: string;
  found: boolean;
  salt: Buffer | null;
  address: string | null;
  facts: Record<string, string> | null;
} & ChainedRow;

async function readLinks(em: EntityManager, after: number): Promise<StoredLink[]> {
  const rows = await em.execute<LinkRow[]>(
    `select audit_links.*, audit_events.id is not null as found, ${chainedColumns},
       audit_details.salt, audit_details.address, audit_details.facts
     from audit_links left join audit_events on audit_events.id = audit_links.event_id
       left join audit_details on audit_details.event_id = audit_links.event_id
     where audit_links.sequence > ?::bigint order by audit_links.sequence limit ${batchSize}`,
    [after],
  );
  return rows.map((row) => ({
    sequence: Number(row.sequence),
    eventId: row.event_id,
    previousHash: row.previous_hash,
    hash: row.hash,
    keyId: row.key_id,
    event: row.found ? toChainedEvent(row.event_id, row) : undefined,
    details: checkDetails(row),
  }));
}

function checkDetails(row: LinkRow): StoredLink["details"] {
  if (row.details_digest === null) return row.salt === null ? "none" : "differ";
  if (row.salt === null) return "missing";
  const digest = detailsDigest(row.salt, row.address ?? "", row.facts ?? {});
  return digest.equals(row.details_digest) ? "match" : "differ";
}

async function readHead(em: EntityManager): Promise<StoredHead | undefined> {
  type HeadRow = { sequence: string; hash: Buffer; seal: Buffer; key_id: string };
  const [row] = await em.execute<HeadRow[]>("select * from audit_head where id = 1");
  return (
    row && { sequence: Number(row.sequence), hash: row.hash, seal: row.seal, keyId: row.key_id }
  );
}

/** Which details may be missing: of erased users, and older than any time of expiry. */
async function findErasures(em: EntityManager): Promise<(event: ChainedEvent) => boolean> {
  const rows = await em.execute<{ action: string; resource: string }[]>(
    `select action, resource from audit_events where outcome = 'ok' and action in (?, ?)`,
    [eraseAction, expireAction],
  );
  const erased = new Set<string>();
  let expired = 0;
  for (const { action, resource } of rows) {
    if (action === eraseAction) erased.add(resource);
    else expired = Math.max(expired, Date.parse(resource.slice(expireResource.length)) || 0);
  }
  return (event) =>
    event.createTime < expired ||
    erased.has(event.resource) ||
    (event.userId !== null && erased.has(`user/${event.userId}`));
}

/** Events that are in no place of the chain and do not wait for one, and the other way round. */
async function findUnlinked(em: EntityManager, checked: number): Promise<ChainFault | undefined> {
  const [row] = await em.execute<{ id: string; removed: boolean }[]>(
    `(select id, false as removed from audit_events
      where not exists (select from audit_links where event_id = audit_events.id)
        and not exists (select from audit_pending where event_id = audit_events.id)
      order by id limit 1)
     union all
     (select event_id, true from audit_pending
      where not exists (select from audit_events where id = audit_pending.event_id)
      order by event_id limit 1)`,
  );
  if (row === undefined) return undefined;
  const problem = row.removed
    ? "was removed before it had a place"
    : "was slipped in, or its link removed";
  return { sequence: checked + 1, problem: `event ${row.id} ${problem}` };
}
