import type { EntityManager } from "@mikro-orm/postgresql";
import { budgetChange } from "./known-budgets.ts";

/**
 * Gives the successor of a rotated key the budget of its predecessor, if that has one of its own,
 * in the rotation's transaction. What it spends is counted anew.
 */
export async function inheritBudget(
  em: EntityManager,
  apiKeyId: string,
  successorId: string,
): Promise<readonly string[]> {
  const subject = `key:${successorId}`;
  const rows = await em.execute<unknown[]>(
    `insert into budgets (subject, api_key_id, daily_micros, monthly_micros, update_time)
     select ?, (?)::uuid, daily_micros, monthly_micros, clock_timestamp()
     from budgets where subject = ?
     returning 1`,
    [subject, successorId, `key:${apiKeyId}`],
  );
  return rows.length === 0 ? [] : [budgetChange(subject)];
}
