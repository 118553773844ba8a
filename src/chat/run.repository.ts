import type { StoredMessage } from "../conversations/message.ts";
import { messageJson, type MessageRow, toStoredMessage } from "../conversations/message.row.ts";
import { branchColumns, branchPosition } from "../conversations/branch.ts";
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
  /** SHA-256 of the request; only with an idempotency key. */
  requestHash: Buffer | undefined;
  question: StoredMessage;
  assistantMessageId: string;
  /** Undefined while it runs. */
  answer: StoredMessage | undefined;
}

/** Runs as they are found again. */
export interface RunRepository {
  /** The user's run of the last 24 hours that had this idempotency key. */
  findByIdempotencyKey(userId: string, key: string): Promise<StoredRun | undefined>;
  /** The run, if it is the user's. */
  find(runId: string, userId: string): Promise<StoredRun | undefined>;
  /**
   * Ends runs whose process cannot be alive: those that began, and were last said to be
   * alive, more than `olderThanMs` ago. Each becomes interrupted with an empty answer,
   * which is the head of its conversation if that has not gone on. Returns their ids.
   */
  settleAbandoned(olderThanMs: number): Promise<string[]>;
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

/** Locks conversations first, as a settling turn does; those that are busy come next time. */
export const abandoned: Statement = {
  name: "runs_abandoned",
  text: `
    with abandoned as materialized (
      select runs.id from runs join conversations on conversations.id = runs.conversation_id
      where runs.state = 'running' and runs.start_time < now() - $1 * interval '1 millisecond'
        and coalesce(runs.lease_time < now() - $1 * interval '1 millisecond', true)
      order by runs.start_time limit $2
      for no key update of conversations skip locked
    ), ended as (
      update runs set
        state = 'interrupted', end_time = clock_timestamp(), error_reason = 'RUN_INTERRUPTED',
        error_message = 'the serving process died'
      from abandoned where runs.id = abandoned.id and runs.state = 'running'
      returning runs.*
    ), answer as (
      insert into messages
        (id, conversation_id, parent_id, role, status, content, tokens, sequence, run_id, model,
         provider, create_time, ${branchColumns})
      select ended.assistant_message_id, ended.conversation_id, parent.id, 'assistant',
        'interrupted', '[]', 0, ended.sequence + 1, ended.id, ended.model, ended.provider,
        ended.end_time, ${branchPosition}
      from ended join messages parent on parent.id = ended.user_message_id
        left join messages jump on jump.id = parent.jump_id
    ), searched as (
      insert into search_queue (user_id, message_id) select user_id, user_message_id from ended
    ), latest as (
      select distinct on (ended.conversation_id) ended.*, question.parent_id
      from ended join messages question on question.id = ended.user_message_id
      order by ended.conversation_id, ended.sequence desc
    ), head as (
      update conversations set
        head_message_id = latest.assistant_message_id, version = version + 1,
        update_time = latest.end_time
      from latest where conversations.id = latest.conversation_id
        and conversations.head_message_id is not distinct from latest.parent_id
    )
    select id from ended`,
};

/** How many runs settleAbandoned ends at a time. */
const batchSize = 500;

/** The runs in PostgreSQL. */
export function createRunRepository(postgres: Postgres): RunRepository {
  async function findOne(statement: Statement, values: unknown[]) {
    const [row] = await postgres.run(statement, values);
    return row === undefined ? undefined : toStoredRun(JSON.parse(row[0] ?? "") as RunRow);
  }
  return {
    findByIdempotencyKey: (userId, key) => findOne(byIdempotencyKey, [userId, key]),
    find: (runId, userId) => findOne(byId, [runId, userId]),
    async settleAbandoned(olderThanMs) {
      const runIds: string[] = [];
      for (;;) {
        const rows = await postgres.query<[string]>(abandoned, [olderThanMs, batchSize]);
        for (const [runId] of rows) runIds.push(runId);
        if (rows.length < batchSize) return runIds;
      }
    },
  };
}

function toStoredRun(row: RunRow): StoredRun {
  const [runId, state, model, startTime, endTime, errorReason, errorMessage, requestHash] = row;
  return {
    runId,
    state,
    model,
    startTime: new Date(startTime),
    endTime: endTime === null ? undefined : new Date(endTime),
    errorReason: errorReason ?? undefined,
    errorMessage: errorMessage ?? undefined,
    requestHash: requestHash === null ? undefined : Buffer.from(requestHash, "hex"),
    assistantMessageId: row[8],
    question: toStoredMessage(row[9]),
    answer: row[10] === null ? undefined : toStoredMessage(row[10]),
  };
}
