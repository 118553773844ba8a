import type { Postgres } from "../postgres/postgres.ts";
import type { Vault, VaultPlace } from "./vault.ts";

/** A column whose content is sealed. */
interface SealedColumn {
  name: string;
  type: "jsonb" | "text";
  place: VaultPlace;
}

/** Everything at rest that people and models have said. */
const tables: { name: string; columns: SealedColumn[] }[] = [
  {
    name: "messages",
    columns: [
      { name: "content", type: "jsonb", place: "message/content" },
      { name: "metadata", type: "jsonb", place: "message/metadata" },
    ],
  },
  {
    name: "conversations",
    columns: [
      { name: "title", type: "text", place: "conversation/title" },
      { name: "system", type: "text", place: "conversation/system" },
      { name: "metadata", type: "jsonb", place: "conversation/metadata" },
    ],
  },
  { name: "runs", columns: [{ name: "error_message", type: "text", place: "run/error" }] },
];

/** How many rows of each table were sealed anew. */
export type Resealed = Record<string, number>;

const batchSize = 200;
/** Each pass takes what was written, or changed under our hands, during the one before. */
const maxPasses = 10;
const firstId = "00000000-0000-0000-0000-000000000000";

/**
 * Brings everything stored to how the vault keeps what is new: sealed with its newest key, or in
 * the clear. In batches, beside the service; it may be stopped and begun again at any time.
 * Words of messages that are sealed leave the search index, those of opened ones come back to it.
 * Forgets the keys that are not needed any more.
 * @throws DomainError CONTENT_NOT_READABLE for what no key opens.
 */
export async function reseal(
  postgres: Postgres,
  vault: Vault,
  onProgress: (table: string, rows: number) => void,
): Promise<Resealed> {
  const total: Resealed = {};
  for (let pass = 1; ; pass += 1) {
    let found = 0;
    for (const table of tables) {
      const rows = await resealTable(postgres, vault, table, (done) =>
        onProgress(table.name, (total[table.name] ?? 0) + done),
      );
      total[table.name] = (total[table.name] ?? 0) + rows;
      found += rows;
    }
    if (found === 0) break;
    if (pass === maxPasses) {
      throw new Error(
        "other processes still write with other keys: give all of them the same CONTENT_KEY, restart them, and try again",
      );
    }
  }
  await forgetOtherKeys(postgres, vault.keyId);
  return total;
}

async function resealTable(
  postgres: Postgres,
  vault: Vault,
  { name, columns }: (typeof tables)[number],
  onProgress: (rows: number) => void,
): Promise<number> {
  const stale = columns.map((column) => staleCondition(column, vault.prefix)).join(" or ");
  const select = `
    select id::text, xmin::text as revision, ${columns.map(({ name }) => name).join(", ")}
    from ${name} where id > ?::uuid and (${stale}) order by id limit ${batchSize}`;
  const update = updateStatement(name, columns, vault.isSealing);
  let count = 0;
  for (let after = firstId; ;) {
    const rows = await postgres.work((em) =>
      em.execute<(Record<string, unknown> & { id: string; revision: string })[]>(select, [after]),
    );
    const last = rows.at(-1);
    if (last === undefined) return count;
    after = last.id;
    const values = columns.map((column) => rows.map((row) => kept(vault, column, row)));
    const ids = rows.map(({ id }) => id);
    const revisions = rows.map(({ revision }) => revision);
    await postgres.query({ name: `reseal_${name}_${vault.isSealing}`, text: update }, [
      ids,
      revisions,
      ...values,
    ]);
    count += rows.length;
    onProgress(count);
  }
}

/** A value as the vault would keep it now. */
function kept(
  vault: Vault,
  { name, type, place }: SealedColumn,
  row: Record<string, unknown> & { id: string },
): string | null {
  const stored = row[name];
  if (stored === null) return null;
  return type === "text"
    ? vault.text(vault.fromText(stored as string, place, row.id), place, row.id)
    : vault.jsonb(vault.fromJsonb(stored as object | string, place, row.id), place, row.id);
}

/** SQL for: is not kept as the vault would keep it. */
function staleCondition({ name, type }: SealedColumn, prefix: string | undefined): string {
  if (type === "jsonb") {
    return prefix === undefined
      ? `jsonb_typeof(${name}) = 'string'`
      : `(jsonb_typeof(${name}) <> 'string' and ${name} not in ('{}', '[]')
         or jsonb_typeof(${name}) = 'string' and left(${name} #>> '{}', 9) <> '${prefix}')`;
  }
  return prefix === undefined
    ? `left(${name}, 1) = chr(1) and left(${name}, 2) <> chr(1) || chr(1)`
    : `(${name} <> '' and left(${name}, 10) <> chr(1) || '${prefix}')`;
}

/** $1 ids, $2 their revisions: who was changed meanwhile is left to the next pass. */
function updateStatement(table: string, columns: SealedColumn[], isSealing: boolean): string {
  const names = columns.map(({ name }) => name);
  const updated = `
    update ${table} set ${names.map((name) => `${name} = fresh.${name}`).join(", ")}
    from unnest($1::uuid[], $2::text[], ${columns
      .map(({ type }, index) => `$${index + 3}::text[]::${type}[]`)
      .join(", ")}) as fresh (id, revision, ${names.join(", ")})
    where ${table}.id = fresh.id and ${table}.xmin::text = fresh.revision
    returning ${table}.id`;
  if (table !== "messages") return updated;
  if (isSealing) {
    return `with updated as (${updated}), unqueued as (
        delete from search_queue where message_id in (select id from updated)
      ) delete from message_search where message_id in (select id from updated)`;
  }
  return `with updated as (${updated.replace(/returning .*$/, "returning messages.id, messages.conversation_id")})
    insert into search_queue (user_id, message_id)
    select conversations.user_id, updated.id
    from updated join conversations on conversations.id = updated.conversation_id
    on conflict do nothing`;
}

async function forgetOtherKeys(postgres: Postgres, keyId: string | undefined): Promise<void> {
  await postgres.query(
    { name: "content_keys_forget", text: "delete from content_keys where id is distinct from $1" },
    [keyId ?? null],
  );
}
