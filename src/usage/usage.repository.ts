import type { Postgres, Statement } from "../postgres/postgres.ts";
import type { TokenUsage } from "../providers/provider.ts";
import type { SplitRange } from "./time-range.ts";
import { addToSums, ledgerMeasures, measures, nobody } from "./usage-sum.statements.ts";

/** What sums may be grouped by, in the order in which they are given. */
export const usageGroups = ["day", "model", "provider", "user", "apiKey"] as const;
export type UsageGroup = (typeof usageGroups)[number];

/** Which rows of the ledger to sum, and how. */
export interface UsageQuery {
  range: SplitRange;
  /** Each at most once. Empty: one sum of everything. */
  groupBy: readonly UsageGroup[];
  /** Undefined: everybody's. */
  userId: string | undefined;
  limit: number;
  /** The group, as `UsageTotal.group`, after which to begin. */
  after: readonly string[] | undefined;
}

/** A sum. Counts fit a number: a day has no 2^53 tokens. */
export interface UsageTotal {
  /** One for each of `groupBy`: a day as `2026-01-31`; of runs without a key the nil UUID. */
  group: readonly string[];
  runs: number;
  /** Of these, those of unknown price, which are not in `costMicros`. */
  runsWithoutPrice: number;
  /** Of these, those with estimated tokens. */
  runsEstimated: number;
  usage: TokenUsage;
  /** Millionths of a US dollar. */
  costMicros: bigint;
}

/** The ledger and its sums. */
export interface UsageRepository {
  /** In the order of the groups. Exact to the row, whatever has been summed already. */
  sum(query: UsageQuery): Promise<UsageTotal[]>;
  /** Adds some rows to the sums. Returns how many; 0 also while another process does so. */
  addToSums(limit: number): Promise<number>;
}

/** The ledger in PostgreSQL. */
export function createUsageRepository(postgres: Postgres): UsageRepository {
  return {
    async sum({ range, groupBy, userId, limit, after }) {
      const statement = sumStatement(groupBy, userId !== undefined, after !== undefined);
      const { start, firstHour, firstDay, lastDay, lastHour, end } = range;
      const values: unknown[] = [start, firstHour, firstDay, lastDay, lastHour, end].map((time) =>
        new Date(time).toISOString(),
      );
      values.push(limit);
      if (userId !== undefined) values.push(userId);
      if (after !== undefined) values.push(...after);
      const rows = await postgres.read<string[]>(statement, values);
      return rows.map((row) => toTotal(row, groupBy.length));
    },
    async addToSums(limit) {
      const [row] = await postgres.query<[number]>(addToSums, [limit]);
      return row?.[0] ?? 0;
    },
  };
}

/** What a group is in a row that began at `time`. Text in byte order, the same on every server. */
const groupColumns: Record<UsageGroup, (time: string) => string> = {
  day: (time) => `to_char(${time} at time zone 'UTC', 'YYYY-MM-DD') collate "C"`,
  model: () => 'model collate "C"',
  provider: () => 'provider collate "C"',
  user: () => "user_id",
  apiKey: () => `coalesce(api_key_id, '${nobody}')`,
};

/**
 * $1-$6: the borders of a SplitRange, $7: how many rows; then the user, then the group after
 * which to begin. Being one statement, it sees sums and rows of the same moment.
 */
export function sumStatement(
  groupBy: readonly UsageGroup[],
  isOfOneUser: boolean,
  isNextPage: boolean,
): Statement {
  const names = groupBy.map((_, index) => `group_${index}`);
  const columns = (time: string, sums: string) =>
    [...groupBy.map((group, index) => `${groupColumns[group](time)} as group_${index}`), sums].join(
      ", ",
    );
  const needsUsers = groupBy.includes("user") || groupBy.includes("apiKey");
  const ofUser = isOfOneUser ? "and user_id = $8" : "";
  const owner = ofUser || `and user_id ${needsUsers ? "<>" : "="} '${nobody}'`;
  const sums = `select ${columns("start_time", measures.join(", "))} from usage_sums`;
  const ledger = `select ${columns("create_time", ledgerMeasures)} from usage`;
  const firstOfGroup = isOfOneUser ? 9 : 8;
  const after = groupBy.map((group, index) => {
    const type = group === "user" || group === "apiKey" ? "uuid" : "text";
    return `$${firstOfGroup + index}::${type}`;
  });
  return {
    name: `usage_sum_${[...groupBy, isOfOneUser ? "own" : "all", isNextPage ? "next" : "first"].join("_")}`,
    text: `
      with parts as (
        ${sums} where grain = 'day' and start_time >= $3 and start_time < $4 ${owner}
        union all
        ${sums} where grain = 'hour' and start_time >= $2 and start_time < $3 ${owner}
        union all
        ${sums} where grain = 'hour' and start_time >= $4 and start_time < $5 ${owner}
        union all
        ${ledger} where create_time >= $1 and create_time < $2 ${ofUser}
        union all
        ${ledger} where create_time >= $5 and create_time < $6 ${ofUser}
        union all
        ${ledger} join usage_pending using (run_id)
        where create_time >= $2 and create_time < $5 ${ofUser}
      )
      select ${[...names.map((name) => `${name}::text`), ...measures.map((measure) => `coalesce(sum(${measure}), 0)::bigint::text`)].join(", ")}
      from parts
      ${isNextPage ? `where row(${names.join(", ")}) > row(${after.join(", ")})` : ""}
      ${names.length > 0 ? `group by ${names.join(", ")} order by ${names.join(", ")}` : ""}
      limit $7`,
  };
}

function toTotal(row: readonly string[], groups: number): UsageTotal {
  const [runs, withoutPrice, estimated, input, cached, written, output, reasoning] = row
    .slice(groups)
    .map(Number) as [number, number, number, number, number, number, number, number];
  return {
    group: row.slice(0, groups),
    runs,
    runsWithoutPrice: withoutPrice,
    runsEstimated: estimated,
    usage: {
      inputTokens: input,
      cachedInputTokens: cached,
      cacheWriteTokens: written,
      outputTokens: output,
      reasoningTokens: reasoning,
    },
    costMicros: BigInt(row.at(-1) ?? 0),
  };
}
