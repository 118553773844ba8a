import type { Postgres } from "../postgres/postgres.ts";
import { uuidAt } from "./changed-subjects.repository.ts";

/** Calls end within minutes; the rest is for a service that stood still. */
const backMs = 7 * 86_400_000;

/**
 * Erases what a call that was under way while its user was erased wrote after that: details of
 * audit events and notes for the search.
 */
export async function eraseRemains(postgres: Postgres): Promise<void> {
  await postgres.work((em) =>
    em.transactional(async (em) => {
      const rows = await em.execute<{ resource: string }[]>(
        `select distinct resource from audit_events
         where action = 'identity.user.delete' and outcome = 'ok' and id > ?`,
        [uuidAt(Date.now() - backMs)],
      );
      for (const { resource } of rows) {
        const userId = resource.replace(/^user\//, "");
        await em.execute(
          `delete from audit_details where user_id = ? or event_id in (
             select id from audit_events where user_id = ?
           )`,
          [userId, userId],
        );
        await em.execute("delete from search_queue where user_id = ?", [userId]);
      }
    }),
  );
}
