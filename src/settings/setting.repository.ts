import type { Audit } from "../audit/audit.ts";
import type { AuditTrail } from "../audit/trail.ts";
import { toJsonb } from "../postgres/json.ts";
import type { Postgres } from "../postgres/postgres.ts";

/** A setting as it is stored. */
export interface StoredSetting {
  name: string;
  /** JSON; null: it was set back to its default. */
  value: unknown;
  version: number;
}

/** What an administrator changed, in PostgreSQL. */
export interface SettingRepository {
  list(): Promise<StoredSetting[]>;
  /**
   * Changes several in one transaction with their audit event; not if `isCurrent` says of what is
   * there that the caller has not seen it.
   */
  update(
    values: ReadonlyMap<string, unknown>,
    isCurrent: (stored: StoredSetting[]) => boolean,
    trail: AuditTrail,
  ): Promise<StoredSetting[] | "changed_meanwhile">;
  /** Whether any was changed in the last milliseconds. */
  changedSince(sinceMs: number): Promise<boolean>;
}

/** Whoever changes settings has this lock: what was checked must still be so. */
const lock = 5_090_101;

const listSettings = {
  name: "settings_list",
  text: "select name, value::text, version::text from settings order by name",
};
const changedSettings = {
  name: "settings_changed",
  text: "select 1 from settings where update_time > now() - $1 * interval '1 millisecond' limit 1",
};

/** The settings in PostgreSQL. */
export function createSettingRepository(postgres: Postgres, audit: Audit): SettingRepository {
  type Row = { name: string; value: string; version: string };
  const toStored = ({ name, value, version }: Row): StoredSetting => ({
    name,
    value: JSON.parse(value) as unknown,
    version: Number(version),
  });
  return {
    async list() {
      const rows = await postgres.query<[string, string, string]>(listSettings, []);
      return rows.map(([name, value, version]) => toStored({ name, value, version }));
    },
    update: (values, isCurrent, trail) =>
      postgres.work((em) =>
        em.transactional(async (em) => {
          await em.execute(`select pg_advisory_xact_lock(${lock})`);
          const before = (await em.execute<Row[]>(listSettings.text)).map(toStored);
          if (!isCurrent(before)) return "changed_meanwhile";
          for (const [name, value] of values) {
            await em.execute(
              `insert into settings (name, value) values (?, ?::jsonb)
               on conflict (name) do update set value = excluded.value,
                 version = settings.version + 1, update_time = clock_timestamp()`,
              [name, toJsonb(value)],
            );
          }
          await audit.record(em, trail);
          return (await em.execute<Row[]>(listSettings.text)).map(toStored);
        }),
      ),
    async changedSince(sinceMs) {
      return (await postgres.query(changedSettings, [sinceMs])).length > 0;
    },
  };
}
