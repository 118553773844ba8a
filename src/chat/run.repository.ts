import type { StoredMessage } from "../conversations/message.ts";
import { messageJson, type MessageRow, toStoredMessage } from "../conversations/message.row.ts";
import { plainVault, type Vault } from "../conversations/vault.ts";
import type { Postgres, Statement } from "../postgres/postgres.ts";

/** A run with its question and, once it has ended, its answer. */
export interface StoredRun {
  runId: string;
  state: "running" | "completed" | "failed" | "cancelled" | "interrupted";
  /** The model that was asked, in the end the one that answered. */
  model: string;
  startTime: Date;
  /** Undefined while it runs. */
  endTime: Date | undefined;
  /** Of a run that did not complete. */
  errorReason: string | undefined;
  errorMessage: string | undefined;
  /** Of the SHA-256 of the request; only with an idempotency key. */
  requestDigest: Buffer | undefined;
  question: StoredMessage;
  assistantMessageId: string;
  /** Undefined while it runs. */
  answer: StoredMessage | undefined;
}

/** A run that nobody generates any more: what is needed to settle it. */
export interface AbandonedRun {
  runId: string;
  userId: string;
  apiKeyId: string | undefined;
  conversationId: string;
  userMessageId: string;
  assistantMessageId: string;
  /** Sequence of the question. */
  sequence: number;
  model: string;
  /** Estimated tokens of the branch up to and with the question. */
  branchTokens: number;
  /** What it has reserved of its budgets, in millionths of a US dollar; undefined: nothing. */
  reservedMicros: number | undefined;
}

type AbandonedRow = [
  runId: string,
  userId: string,
  apiKeyId: string | null,
  conversationId: string,
  userMessageId: string,
  assistantMessageId: string,
  sequence: number,
  model: string,
  branchTokens: number | null,
  reservedMicros: number | null,
];

/** Runs as they are found again. */
export interface RunRepository {
  /** The user's run of the last 24 hours that had this idempotency key. */
  findByIdempotencyKey(userId: string, key: string): Promise<StoredRun | undefined>;
  /** Whether the run was begun by a request of this SHA-256. */
  isOfRequest(run: StoredRun, requestHash: Uint8Array | undefined): boolean;
  /** The run, if it is the user's. */
  find(runId: string, userId: string): Promise<StoredRun | undefined>;
  /** The answer of a run that completed, whoever's it is. */
  findAnswer(runId: string): Promise<StoredMessage | undefined>;
  /** Says that this process still generates these runs. */
  renew(runIds: readonly string[]): Promise<void>;
  /**
   * Runs whose process is dead: those that began, and were last said to be
   * generated, more than `olderThanMs` ago. The oldest hundred.
   */
  findAbandoned(olderThanMs: number): Promise<AbandonedRun[]>;
}

type RunRow = [
  runId: string,
  state: StoredRun["state"],
  model: string,
  startTime: number,
  endTime: number | null,
  errorReason: string | null,
  errorMessage: string | null,
  requestHash: string | null,
  assistantMessageId: string,
  question: MessageRow,
  answer: MessageRow | null,
];

const selectRun = `
  select json_build_array(
    runs.id, runs.state, runs.model, (extract(epoch from runs.start_time) * 1000)::bigint,
    (extract(epoch from runs.end_time) * 1000)::bigint, runs.error_reason, runs.error_message,
    encode(runs.request_hash, 'hex'), runs.assistant_message_id, ${messageJson("question")},
    case when answer.id is not null then ${messageJson("answer")} end
  )::text
  from runs join messages question on question.id = runs.user_message_id
    left join messages answer on answer.id = runs.assistant_message_id`;

/** An idempotency key is good for 24 hours; after that it is free again. */
export const byIdempotencyKey: Statement = {
  name: "run_by_idempotency_key",
  text: `
    with expired as (
      update runs set idempotency_key = null, request_hash = null
      where user_id = $1 and idempotency_key = $2 and start_time <= now() - interval '24 hours'
    )
    ${selectRun}
    where runs.user_id = $1 and runs.idempotency_key = $2
      and runs.start_time > now() - interval '24 hours'`,
};

const byId: Statement = {
  name: "run_by_id",
  text: `${selectRun} where runs.id = $1 and runs.user_id = $2`,
};

const completed: Statement = {
  name: "run_completed",
  text: `${selectRun} where runs.id = $1 and runs.state = 'completed'`,
};

/** Says that these runs are being generated. One statement for all runs of a process. */
const renew: Statement = {
  name: "runs_renew",
  text: `
    update runs set lease_time = clock_timestamp()
    where id = any($1::uuid[]) and state = 'running'`,
};

/** With the tokens of the branch up to the question: what the provider was sent at most. */
export const abandoned: Statement = {
  name: "runs_abandoned",
  text: `
    with recursive abandoned as materialized (
      select * from runs
      where state = 'running' and start_time < now() - $1 * interval '1 millisecond'
        and coalesce(lease_time < now() - $1 * interval '1 millisecond', true)
      order by start_time limit $2
    ), branch as (
      select abandoned.id as run_id, messages.parent_id, messages.tokens::bigint as total, 1 as length
      from abandoned join messages on messages.id = abandoned.user_message_id
      union all
      select branch.run_id, messages.parent_id, branch.total + messages.tokens, branch.length + 1
      from branch join messages on messages.id = branch.parent_id
      where branch.length < 10000
    )
    select json_build_array(
      abandoned.id, abandoned.user_id, abandoned.api_key_id, abandoned.conversation_id,
      abandoned.user_message_id, abandoned.assistant_message_id, abandoned.sequence,
      abandoned.model, (select max(total) from branch where run_id = abandoned.id),
      (select micros from budget_reservations where run_id = abandoned.id))::text
    from abandoned`,
};

/** How many abandoned runs are looked at in one go. */
const batchSize = 100;

/** The runs in PostgreSQL. */
export function createRunRepository(postgres: Postgres, vault: Vault = plainVault): RunRepository {
  async function findOne(statement: Statement, values: unknown[]) {
    const [row] = await postgres.run(statement, values);
    return row === undefined ? undefined : toStoredRun(JSON.parse(row[0] ?? "") as RunRow, vault);
  }
  return {
    findByIdempotencyKey: (userId, key) => findOne(byIdempotencyKey, [userId, key]),
    isOfRequest: ({ requestDigest }, requestHash) =>
      requestDigest !== undefined &&
      requestHash !== undefined &&
      vault.isDigest(requestDigest, requestHash),
    find: (runId, userId) => findOne(byId, [runId, userId]),
    findAnswer: async (runId) => (await findOne(completed, [runId]))?.answer,
    async renew(runIds) {
      // An array as PostgreSQL writes it; ids need no quotes.
      await postgres.run(renew, [`{${runIds.join(",")}}`]);
    },
    async findAbandoned(olderThanMs) {
      const rows = await postgres.run(abandoned, [olderThanMs, batchSize]);
      return rows.map(([json]) => toAbandonedRun(JSON.parse(json ?? "") as AbandonedRow));
    },
  };
}

function toStoredRun(row: RunRow, vault: Vault): StoredRun {
  const [runId, state, model, startTime, endTime, errorReason, errorMessage, requestHash] = row;
  return {
    runId,
    state,
    model,
    startTime: new Date(startTime),
    endTime: endTime === null ? undefined : new Date(endTime),
    errorReason: errorReason ?? undefined,
    errorMessage:
      errorMessage === null ? undefined : vault.fromText(errorMessage, "run/error", runId),
    requestDigest: requestHash === null ? undefined : Buffer.from(requestHash, "hex"),
    assistantMessageId: row[8],
    question: toStoredMessage(row[9], vault),
    answer: row[10] === null ? undefined : toStoredMessage(row[10], vault),
  };
}

function toAbandonedRun(row: AbandonedRow): AbandonedRun {
  const [runId, userId, apiKeyId, conversationId, userMessageId, assistantMessageId] = row;
  return {
    runId,
    userId,
    apiKeyId: apiKeyId ?? undefined,
    conversationId,
    userMessageId,
    assistantMessageId,
    sequence: row[6],
    model: row[7],
    branchTokens: row[8] ?? 0,
    reservedMicros: row[9] ?? undefined,
  };
}
