import type { Statement } from "../postgres/postgres.ts";

/** SQL for a time as milliseconds since 1970. */
export function milliseconds(time: string): string {
  return `(extract(epoch from ${time}) * 1000)::bigint`;
}

/** $1 the hashes of one key under each of the server's secrets. Gives one JSON array. */
export const keyByHash: Statement = {
  name: "api_key_by_hash",
  text: `
    select json_build_array(api_keys.id, array_position($1::bytea[], api_keys.hash),
      api_keys.scopes, api_keys.requests_per_minute, api_keys.tokens_per_minute,
      ${milliseconds("api_keys.expire_time")}, api_keys.revoke_time is not null, users.id,
      users.role, users.disabled,
      ${milliseconds("greatest(api_keys.block_time, users.block_time)")})::text
    from api_keys join users on users.id = api_keys.user_id
    where api_keys.hash = any($1::bytea[])`,
};

/** $1 the keys. Does not touch `update_time`: use changes nothing that is kept in memory. */
export const touchKeys: Statement = {
  name: "api_keys_touch",
  text: `update api_keys set last_used_time = date_trunc('minute', now()) where id = any($1::uuid[])`,
};
