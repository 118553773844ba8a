import type { Statement } from "../postgres/postgres.ts";

/** Stands in the sums for everybody, and for the key of runs without one. */
export const nobody = "00000000-0000-0000-0000-000000000000";

/** What is summed, as the columns of `usage_sums`. */
export const measures = [
  "runs",
  "runs_without_price",
  "runs_estimated",
  "input_tokens",
  "cached_input_tokens",
  "cache_write_tokens",
  "output_tokens",
  "reasoning_tokens",
  "cost_micros",
] as const;

/** What a row of the ledger adds to each of `measures`. */
export const ledgerMeasures = `
  1::bigint as runs, (cost_micros is null)::int::bigint as runs_without_price,
  estimated::int::bigint as runs_estimated, input_tokens, cached_input_tokens, cache_write_tokens,
  output_tokens, reasoning_tokens, coalesce(cost_micros, 0) as cost_micros`;

/** Whoever adds to the sums has this lock, so that two never wait for each other's rows. */
const lock = 5_090_102;

/**
 * Adds at most $1 rows of the ledger to the sums; none while another process does so. Gives how
 * many they were. A row is noted as pending or part of the sums, never both and never neither.
 */
export const addToSums: Statement = {
  name: "usage_add_to_sums",
  text: `
    with mine as materialized (
      select pg_try_advisory_xact_lock(${lock}) as locked
    ), due as (
      delete from usage_pending where run_id in (
        select run_id from usage_pending where (select locked from mine)
        order by run_id limit $1 for update skip locked
      ) returning run_id
    ), fresh as (
      select user_id, coalesce(api_key_id, '${nobody}') as api_key_id, model, provider, grain,
        date_trunc(grain, create_time, 'UTC') as start_time, ${ledgerMeasures}
      from due join usage using (run_id) cross join (values ('hour'), ('day')) grains (grain)
    ), added as (
      insert into usage_sums
        (user_id, grain, start_time, api_key_id, model, provider, ${measures.join(", ")})
      select coalesce(user_id, '${nobody}'), grain, start_time, coalesce(api_key_id, '${nobody}'),
        model, provider, ${measures.map((measure) => `sum(${measure})`).join(", ")}
      from fresh
      group by grouping sets
        ((user_id, api_key_id, grain, start_time, model, provider),
         (grain, start_time, model, provider))
      on conflict (user_id, grain, start_time, api_key_id, model, provider) do update set
        ${measures.map((measure) => `${measure} = usage_sums.${measure} + excluded.${measure}`).join(",\n        ")}
    )
    select count(*)::int from due`,
};
