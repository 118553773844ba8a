import type { Audit } from "../audit/audit.ts";
import type { AuditTrail } from "../audit/trail.ts";
import type { Postgres } from "../postgres/postgres.ts";
import { type BudgetLimits, noLimits } from "./budget-settings.ts";
import { type BudgetSubject, subjectName } from "./budget-subject.ts";
import { startOfDay, startOfMonth, startOfNextDay } from "./time-range.ts";

/** What applies to users and keys that have no budget of their own. */
export interface DefaultLimits {
  user: BudgetLimits;
  apiKey: BudgetLimits;
}

/** What a run wants to be sure of before its provider is called. */
export interface ReservationWish {
  runId: string;
  userId: string;
  apiKeyId: string | undefined;
  defaults: DefaultLimits;
  /** The most that the input may cost, in millionths of a micro. */
  inputCost: bigint;
  /** The most that an output token may cost, in millionths of a micro; above 0. */
  outputPrice: bigint;
  /** How many output tokens it would like. */
  wantedTokens: number;
  /** Whether the caller asked for so many; otherwise it may get fewer, to leave some to others. */
  isAsked: boolean;
  /** With fewer than this, or than it wants, it is refused. */
  leastTokens: number;
  /** Which day and month it is. Undefined: as the database's clock has it. */
  time: Date | undefined;
}

/** It is sure of so many output tokens, and has so much for them and the input together. */
export interface GrantedReservation {
  grantedTokens: number;
  micros: number;
}

/** The budget that has the least left. */
export interface RefusedReservation {
  /** `everyone`, `user:<id>` or `key:<id>`. */
  subject: string;
  period: "day" | "month";
  /** When the next period begins, in milliseconds since 1970. */
  endTime: number;
  /** How many seconds that is from now. */
  seconds: number;
  limitMicros: number;
  spentMicros: number;
  /** For runs that are under way. */
  reservedMicros: number;
}

/** How a budget stands. */
export interface BudgetState {
  /** Undefined: none was set, so the default applies. */
  limits: BudgetLimits | undefined;
  /** Without what is reserved. */
  spentTodayMicros: bigint;
  spentThisMonthMicros: bigint;
  reservedMicros: bigint;
}

/** Budgets in PostgreSQL. */
export interface BudgetRepository {
  /**
   * In one transaction: adds up what is spent and reserved of every budget that counts for the
   * run, and reserves what it may cost. Undefined: no budget counts.
   */
  reserve(wish: ReservationWish): Promise<GrantedReservation | RefusedReservation | undefined>;
  /** Removes reservations of runs that are no more, should their process have died too. */
  releaseOrphans(): Promise<void>;
  /** The names of all subjects that have a budget with a limit. */
  list(): Promise<string[]>;
  /** The name, if that subject has a budget with a limit. */
  find(subject: string): Promise<boolean>;
  /** The names of the subjects whose budget was set in the last milliseconds. */
  changedSince(sinceMs: number): Promise<string[]>;
  state(subject: BudgetSubject, now: number): Promise<BudgetState>;
  /** With its audit event, in one transaction. False: there is no such user or key. */
  set(subject: BudgetSubject, limits: BudgetLimits, trail: AuditTrail): Promise<boolean>;
}

const hasLimit = "(daily_micros is not null or monthly_micros is not null)";
const statements = {
  reserve: {
    name: "budget_reserve",
    text: "select reserve_budget($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
  },
  list: { name: "budget_list", text: `select subject from budgets where ${hasLimit}` },
  find: {
    name: "budget_find",
    text: `select subject from budgets where subject = $1 and ${hasLimit}`,
  },
  changed: {
    name: "budget_changed",
    text: "select subject from budgets where update_time > now() - $1 * interval '1 millisecond'",
  },
  // No run lives nearly as long. One whose conversation was deleted has no row any more.
  releaseOrphans: {
    name: "budget_release_orphans",
    text: `delete from budget_reservations reservation
      where create_time < now() - interval '1 hour' and not exists
        (select from runs where id = reservation.run_id and state = 'running')`,
  },
  state: {
    name: "budget_state",
    text: `
      with spent as (
        select start_time, cost_micros from usage_sums
        where user_id = coalesce($2::uuid, '00000000-0000-0000-0000-000000000000')
          and grain = 'day' and start_time >= $5 and start_time < $6
          and ($3::uuid is null or api_key_id = $3)
        union all
        select create_time, cost_micros from usage_pending join usage using (run_id)
        where create_time >= $5 and create_time < $6
          and ($2::uuid is null or user_id = $2) and ($3::uuid is null or api_key_id = $3)
      )
      select
        (select count(*) from budgets where subject = $1)::int,
        (select daily_micros from budgets where subject = $1)::text,
        (select monthly_micros from budgets where subject = $1)::text,
        (select coalesce(sum(cost_micros), 0) from spent where start_time >= $4)::text,
        (select coalesce(sum(cost_micros), 0) from spent)::text,
        (select coalesce(sum(micros), 0) from budget_reservations
         where ($2::uuid is null or user_id = $2) and ($3::uuid is null or api_key_id = $3))::text`,
  },
};

/** The budgets in PostgreSQL. */
export function createBudgetRepository(postgres: Postgres, audit: Audit): BudgetRepository {
  return {
    async reserve(wish) {
      const { user, apiKey } = wish.defaults;
      // Not on the lanes of the hot path: whoever waits for a budget's lock would hold up others.
      const [row] = await postgres.query<[string | null]>(statements.reserve, [
        wish.runId,
        wish.userId,
        wish.apiKeyId ?? null,
        ...[user.dailyMicros, user.monthlyMicros, apiKey.dailyMicros, apiKey.monthlyMicros].map(
          (micros) => micros ?? null,
        ),
        wish.inputCost,
        wish.outputPrice,
        wish.wantedTokens,
        wish.isAsked,
        wish.leastTokens,
        wish.time ?? null,
      ]);
      const json = row?.[0] ?? undefined;
      return json === undefined
        ? undefined
        : (JSON.parse(json) as GrantedReservation | RefusedReservation);
    },
    async releaseOrphans() {
      await postgres.query(statements.releaseOrphans, []);
    },
    async list() {
      return (await postgres.query<[string]>(statements.list, [])).map(([subject]) => subject);
    },
    async find(subject) {
      return (await postgres.query(statements.find, [subject])).length > 0;
    },
    async changedSince(sinceMs) {
      const rows = await postgres.query<[string]>(statements.changed, [sinceMs]);
      return rows.map(([subject]) => subject);
    },
    async state(subject, now) {
      const values = [
        subjectName(subject),
        subject.kind === "everyone" ? null : subject.userId,
        subject.kind === "key" ? subject.apiKeyId : null,
        new Date(startOfDay(now)),
        new Date(startOfMonth(now)),
        new Date(startOfNextDay(now)),
      ];
      const [row] = await postgres.query<
        [number, string | null, string | null, string, string, string]
      >(statements.state, values);
      if (row === undefined) throw new Error("a statement without rows");
      const [isSet, daily, monthly, today, month, reserved] = row;
      const micros = (value: string | null) => (value === null ? undefined : BigInt(value));
      return {
        limits:
          isSet === 0 ? undefined : { dailyMicros: micros(daily), monthlyMicros: micros(monthly) },
        spentTodayMicros: BigInt(today),
        spentThisMonthMicros: BigInt(month),
        reservedMicros: BigInt(reserved),
      };
    },
    set: (subject, { dailyMicros, monthlyMicros } = noLimits, trail) =>
      postgres.work((em) =>
        em.transactional(async (em) => {
          const rows = await em.execute<unknown[]>(
            `insert into budgets (subject, user_id, api_key_id, daily_micros, monthly_micros,
               update_time)
             select ?, (?)::uuid, (?)::uuid, (?)::bigint, (?)::bigint, clock_timestamp()
             where ${existence[subject.kind]}
             on conflict (subject) do update set daily_micros = excluded.daily_micros,
               monthly_micros = excluded.monthly_micros, update_time = excluded.update_time
             returning 1`,
            [
              subjectName(subject),
              subject.kind === "user" ? subject.userId : null,
              subject.kind === "key" ? subject.apiKeyId : null,
              dailyMicros ?? null,
              monthlyMicros ?? null,
              ...(subject.kind === "everyone" ? [] : [idOf(subject)]),
            ],
          );
          if (rows.length === 0) return false;
          await audit.record(em, trail);
          return true;
        }),
      ),
  };
}

const existence = {
  everyone: "true",
  user: "exists (select from users where id = ?)",
  key: "exists (select from api_keys where id = ?)",
};

function idOf(subject: Exclude<BudgetSubject, { kind: "everyone" }>): string {
  return subject.kind === "user" ? subject.userId : subject.apiKeyId;
}
