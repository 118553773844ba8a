/** Reads everything that a drill left in PostgreSQL. */
import { entities } from "../../src/entities.ts";
import { createPostgres } from "../../src/postgres/postgres.ts";

export interface StoredConversation {
  id: string;
  userId: string;
  headMessageId: string | null;
  lastSequence: number;
}

export interface StoredMessageRow {
  id: string;
  conversationId: string;
  parentId: string | null;
  role: "user" | "assistant";
  status: string;
  text: string;
  sequence: number;
  depth: number;
  jumpId: string | null;
  jumpDepth: number;
  runId: string | null;
  finishReason: string | null;
  inputTokens: number | null;
  outputTokens: number | null;
  costMicros: number | null;
}

export interface StoredRunRow {
  id: string;
  conversationId: string;
  userId: string;
  userMessageId: string;
  assistantMessageId: string;
  state: string;
  sequence: number;
  idempotencyKey: string | null;
  errorReason: string | null;
  /** Milliseconds since 1970. */
  startTime: number;
  endTime: number | null;
}

export interface LedgerRow {
  runId: string;
  userId: string;
  inputTokens: number;
  cachedInputTokens: number;
  outputTokens: number;
  costMicros: number | null;
  estimated: boolean;
}

/** Sums of everybody's days. */
export interface LedgerSums {
  runs: number;
  inputTokens: number;
  outputTokens: number;
  costMicros: number;
}

/** All of it. */
export interface Stored {
  conversations: StoredConversation[];
  messages: StoredMessageRow[];
  runs: StoredRunRow[];
  ledger: LedgerRow[];
  /** Rows of the ledger that are in no sum yet. */
  pending: number;
  sums: LedgerSums;
  /** What runs have reserved of budgets. */
  reservations: number;
}

const text = `(select coalesce(string_agg(part->>'text', ''), '')
  from jsonb_array_elements(content) part where part->>'type' = 'text')`;

/** `planted`: statements that are undone once all is read, whatever the database's rules. */
export async function readStored(url: string, planted: readonly string[] = []): Promise<Stored> {
  const postgres = await createPostgres({ url, entities, poolSize: 1 });
  try {
    return await postgres.work(async (em) => {
      await em.begin();
      if (planted.length > 0) await em.execute("set local session_replication_role = replica");
      for (const statement of planted) await em.execute(statement);
      const stored = await readAll((sql) => em.execute(sql));
      await em.rollback();
      return stored;
    });
  } finally {
    await postgres.close();
  }
}

async function readAll(execute: (sql: string) => Promise<unknown>): Promise<Stored> {
  const all = async <Row>(sql: string) => (await execute(sql)) as Row[];
  const [totals] = await all<LedgerSums>(`
      select coalesce(sum(runs), 0)::int as runs,
        coalesce(sum(input_tokens), 0)::int as "inputTokens",
        coalesce(sum(output_tokens), 0)::int as "outputTokens",
        coalesce(sum(cost_micros), 0)::int as "costMicros"
      from usage_sums
      where grain = 'day' and user_id = '00000000-0000-0000-0000-000000000000'`);
  return {
    conversations: await all<StoredConversation>(`
        select id, user_id as "userId", head_message_id as "headMessageId",
          last_sequence::int as "lastSequence" from conversations`),
    messages: await all<StoredMessageRow>(`
        select id, conversation_id as "conversationId", parent_id as "parentId", role, status,
          ${text} as text, sequence::int, depth, jump_id as "jumpId", jump_depth as "jumpDepth",
          run_id as "runId", finish_reason as "finishReason", input_tokens::int as "inputTokens",
          output_tokens::int as "outputTokens", cost_micros::int as "costMicros"
        from messages order by conversation_id, sequence`),
    runs: await all<StoredRunRow>(`
        select id, conversation_id as "conversationId", user_id as "userId",
          user_message_id as "userMessageId", assistant_message_id as "assistantMessageId", state,
          sequence::int, idempotency_key as "idempotencyKey", error_reason as "errorReason",
          (extract(epoch from start_time) * 1000)::float8 as "startTime",
          (extract(epoch from end_time) * 1000)::float8 as "endTime"
        from runs order by start_time`),
    ledger: await all<LedgerRow>(`
        select run_id as "runId", user_id as "userId", input_tokens::int as "inputTokens",
          cached_input_tokens::int as "cachedInputTokens", output_tokens::int as "outputTokens",
          cost_micros::int as "costMicros", estimated
        from usage`),
    pending: await count("select count(*)::int as count from usage_pending"),
    sums: totals ?? { runs: 0, inputTokens: 0, outputTokens: 0, costMicros: 0 },
    reservations: (await hasBudgets())
      ? await count("select count(*)::int as count from budget_reservations")
      : 0,
  };

  async function count(sql: string): Promise<number> {
    const [row] = await all<{ count: number }>(sql);
    return row?.count ?? 0;
  }
  async function hasBudgets(): Promise<boolean> {
    return (await count("select count(to_regclass('budget_reservations'))::int as count")) > 0;
  }
}
