import type { Postgres } from "../postgres/postgres.ts";
import type { Cancellation } from "./cancellation.store.ts";
import type { RunLog } from "./run-log.store.ts";

/** Rows read at a time. */
const batchSize = 500;
/** How long stopped runs get to end; of a process that died there is nobody to wait for. */
const endWaitMs = 10_000;
const lookEveryMs = 100;

/** What chat knows of a user: their runs, and what Redis keeps of the last ones. */
export function createRunData(
  postgres: Postgres,
  cancellation: Cancellation,
  log: RunLog | undefined,
) {
  async function runningRuns(userId: string): Promise<string[]> {
    const rows = await postgres.work((em) =>
      em.execute<{ id: string }[]>("select id from runs where state = 'running' and user_id = ?", [
        userId,
      ]),
    );
    return rows.map(({ id }) => id);
  }
  /** Those of which Redis may have the pieces: it keeps them for less than an hour. */
  async function recentRuns(userId: string): Promise<string[]> {
    const rows = await postgres.work((em) =>
      em.execute<{ id: string }[]>(
        `select runs.id from conversations
           join runs on runs.conversation_id = conversations.id
         where conversations.user_id = ? and conversations.update_time > now() - interval '1 hour'
           and runs.start_time > now() - interval '1 hour'`,
        [userId],
      ),
    );
    return rows.map(({ id }) => id);
  }

  return {
    /** As objects for JSON lines. */
    async *export(userId: string): AsyncGenerator<object, void, undefined> {
      let after = "00000000-0000-0000-0000-000000000000";
      for (;;) {
        const rows = await postgres.work((em) =>
          em.execute<{ run_id: string }[]>(
            `select 'run' as record, runs.id as run_id, runs.conversation_id, runs.api_key_id,
               runs.user_message_id, runs.assistant_message_id, runs.state, runs.model,
               runs.provider, runs.error_reason, runs.error_message, runs.idempotency_key,
               runs.start_time, runs.end_time
             from conversations join runs on runs.conversation_id = conversations.id
             where conversations.user_id = ? and runs.id > ? order by runs.id limit ${batchSize}`,
            [userId, after],
          ),
        );
        yield* rows;
        const last = rows.at(-1);
        if (last === undefined || rows.length < batchSize) return;
        after = last.run_id;
      }
    },
    /** Stops what is under way and removes its pieces; the rows go with their conversations. */
    async erase(userId: string): Promise<void> {
      const end = performance.now() + endWaitMs;
      for (let runIds = await runningRuns(userId); runIds.length > 0;) {
        for (const runId of runIds) await cancellation.cancel(runId, userId).catch(() => {});
        if (performance.now() > end) break;
        await new Promise((resolve) => setTimeout(resolve, lookEveryMs));
        runIds = await runningRuns(userId);
      }
      if (log === undefined) return;
      for (const runId of await recentRuns(userId)) await log.remove(runId);
    },
  };
}
