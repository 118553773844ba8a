/** Rows of the ledger for tests, and their sum as plain arithmetic has it. */
import { randomUUIDv7 } from "node:crypto";
import type { UsageGroup } from "../../src/usage/usage.repository.ts";
import { nobody } from "../../src/usage/usage-sum.statements.ts";
import type { TestDatabase } from "../support/postgres.ts";

/** A row of the ledger. */
export interface LedgerRow {
  userId: string;
  apiKeyId: string | null;
  model: string;
  provider: string;
  inputTokens: number;
  outputTokens: number;
  costMicros: bigint | null;
  estimated: boolean;
  createTime: Date;
}

/** Writes them as a settled turn does, without its conversation. */
export async function insertRows({ sql }: TestDatabase, rows: readonly LedgerRow[]) {
  for (const row of rows) {
    await sql(
      `with ledger as (
         insert into usage (run_id, user_id, api_key_id, conversation_id, model, provider,
           input_tokens, cached_input_tokens, cache_write_tokens, output_tokens, reasoning_tokens,
           cost_micros, price_version, estimated, create_time)
         values (?, ?, ?, ?, ?, ?, ?, 1, 2, ?, 3, ?, 'test', ?, ?) returning run_id
       ) insert into usage_pending select run_id from ledger`,
      [
        randomUUIDv7(),
        row.userId,
        row.apiKeyId,
        randomUUIDv7(),
        row.model,
        row.provider,
        row.inputTokens,
        row.outputTokens,
        row.costMicros,
        row.estimated,
        row.createTime,
      ],
    );
  }
}

/** The group of a row, as `UsageTotal.group` has it. */
function groupOf(row: LedgerRow, groupBy: readonly UsageGroup[]): string[] {
  const values: Record<UsageGroup, string> = {
    day: row.createTime.toISOString().slice(0, 10),
    model: row.model,
    provider: row.provider,
    user: row.userId,
    apiKey: row.apiKeyId ?? nobody,
  };
  return groupBy.map((group) => values[group]);
}

/** Group, runs, runs without price, estimated runs, input, output, cost: by group, in byte order. */
export function sumRows(rows: readonly LedgerRow[], groupBy: readonly UsageGroup[]) {
  const sums = new Map<string, [string[], number, number, number, number, number, bigint]>();
  for (const row of rows) {
    const group = groupOf(row, groupBy);
    const key = group.join("\u0001");
    const sum = sums.get(key) ?? [group, 0, 0, 0, 0, 0, 0n];
    sums.set(key, sum);
    sum[1] += 1;
    sum[2] += row.costMicros === null ? 1 : 0;
    sum[3] += row.estimated ? 1 : 0;
    sum[4] += row.inputTokens;
    sum[5] += row.outputTokens;
    sum[6] += row.costMicros ?? 0n;
  }
  return [...sums].sort(([one], [other]) => (one < other ? -1 : 1)).map(([, sum]) => sum);
}
