import type { Postgres, Statement } from "../postgres/postgres.ts";

/** Somebody who spends far more than they use to. */
export interface UnusualSpend {
  userId: string;
  /** Of the last 24 hours, in millionths of a US dollar. */
  micros: bigint;
  /** The mean of the days before on which anything was spent. */
  usualMicros: bigint;
}

/** $1 the factor, $2 the least that counts as usual. Only who spent much is compared with before. */
const unusualSpend: Statement = {
  name: "anomaly_spend",
  text: `
    with spent as (
      select user_id, sum(cost_micros)::bigint as micros from usage
      where create_time > now() - interval '24 hours'
      group by user_id having sum(cost_micros) > $1::bigint * $2::bigint
    )
    select spent.user_id::text, spent.micros::text, usual.micros::text
    from spent cross join lateral (
      select coalesce(avg(days.micros), 0)::bigint as micros from (
        select sum(cost_micros) as micros from usage
        where user_id = spent.user_id and cost_micros > 0
          and create_time > now() - interval '15 days'
          and create_time <= now() - interval '24 hours'
        group by floor(extract(epoch from now() - create_time) / 86400)
      ) as days
    ) as usual
    where spent.micros > usual.micros * $1::bigint
      and not exists (
        select from audit_events where action = 'anomaly.spend'
          and resource = 'user/' || spent.user_id::text
          and create_time > now() - interval '24 hours'
      )`,
};

/** Who spends far more than they use to and was not told of in the last 24 hours. */
export async function findUnusualSpend(
  postgres: Postgres,
  factor: number,
  leastMicros: number,
): Promise<UnusualSpend[]> {
  type Row = [userId: string, micros: string, usualMicros: string];
  const rows = await postgres.query<Row>(unusualSpend, [factor, leastMicros]);
  return rows.map(([userId, micros, usualMicros]) => ({
    userId,
    micros: BigInt(micros),
    usualMicros: BigInt(usualMicros),
  }));
}
