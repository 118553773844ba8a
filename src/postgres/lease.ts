import type { Postgres, Statement } from "./postgres.ts";

/** $1 the name, $2 milliseconds. One row: it is ours; none: somebody else's. */
const takeLease: Statement = {
  name: "lease_take",
  text: `
    insert into leases (name, expire_time) values ($1, now() + $2 * interval '1 millisecond')
    on conflict (name) do update set expire_time = excluded.expire_time
    where leases.expire_time <= now()
    returning 1`,
};

/** $1 the name, $2 milliseconds. */
const renewLease: Statement = {
  name: "lease_renew",
  text: `update leases set expire_time = now() + $2 * interval '1 millisecond' where name = $1`,
};

/**
 * Whether this process is the one that does some work now. Nobody else gets it before so many
 * milliseconds are over.
 */
export async function takeLeaseOf(
  postgres: Postgres,
  name: string,
  milliseconds: number,
): Promise<boolean> {
  return (await postgres.query(takeLease, [name, milliseconds])).length > 0;
}

/** Keeps others away for longer, while work that this process took goes on. */
export async function renewLeaseOf(
  postgres: Postgres,
  name: string,
  milliseconds: number,
): Promise<void> {
  await postgres.query(renewLease, [name, milliseconds]);
}
