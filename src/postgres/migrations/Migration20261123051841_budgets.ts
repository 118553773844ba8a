import { Migration } from '@mikro-orm/migrations';

export class Migration20261123051841_budgets extends Migration {

  override name = 'Migration20261123051841_budgets';

  override up(): void | Promise<void> {
    this.addSql(`create table "budget_reservations" ("run_id" uuid not null, "user_id" uuid not null, "api_key_id" uuid null, "micros" bigint not null, "create_time" timestamptz(3) not null default clock_timestamp(), primary key ("run_id"));`);

    this.addSql(`create table "budgets" ("subject" text not null, "user_id" uuid null, "api_key_id" uuid null, "daily_micros" bigint null, "monthly_micros" bigint null, "update_time" timestamptz(3) not null default now(), primary key ("subject"));`);
    this.addSql(`create index "budgets_user_index" on "budgets" ("user_id");`);
    this.addSql(`create index "budgets_key_index" on "budgets" ("api_key_id");`);
    this.addSql(`create index "budgets_update_index" on "budgets" ("update_time");`);

    this.addSql(`alter table "messages" drop constraint "messages_finish_reason_check";`);
    this.addSql(`alter table "messages" add constraint "messages_finish_reason_check" check ("finish_reason" in ('stop', 'length', 'tool_calls', 'content_filter', 'budget', 'cancelled', 'error'));`);

    this.addSql(`alter table "budgets" add constraint "budgets_user_id_foreign" foreign key ("user_id") references "users" ("id") on delete cascade;`);
    this.addSql(`alter table "budgets" add constraint "budgets_api_key_id_foreign" foreign key ("api_key_id") references "api_keys" ("id") on delete cascade;`);

    // The budgets that count for a run, with what is spent of them. `at` says which day and month.
    this.addSql(`
      create function budget_accounts(
        owner uuid, api_key uuid,
        user_day bigint, user_month bigint, key_day bigint, key_month bigint, at timestamptz
      ) returns table (
        subject text, period text, end_time timestamptz,
        limit_micros bigint, spent_micros bigint, reserved_micros bigint
      ) language sql stable as $$
        with limits as (
          select subjects.subject, subjects.user_id, subjects.api_key_id,
            case when budgets.subject is null then day else daily_micros end as daily,
            case when budgets.subject is null then month else monthly_micros end as monthly
          from (values
            ('everyone', null::uuid, null::uuid, null::bigint, null::bigint),
            ('user:' || owner, owner, null, user_day, user_month),
            ('key:' || api_key, owner, api_key, key_day, key_month)
          ) subjects (subject, user_id, api_key_id, day, month)
            left join budgets using (subject)
          where subjects.subject is not null
        ), periods as (
          select subject, user_id, api_key_id, period, limit_micros,
            date_trunc(period, at at time zone 'UTC') as start_time
          from limits cross join lateral (values ('day', daily), ('month', monthly))
            periods (period, limit_micros)
          where limit_micros is not null
        ), spans as (
          select subject, user_id, api_key_id, period, limit_micros,
            start_time at time zone 'UTC' as start_time,
            (start_time + ('1 ' || period)::interval) at time zone 'UTC' as end_time
          from periods
        )
        select subject, period, end_time, limit_micros,
          (coalesce((
            select sum(cost_micros) from usage_sums
            where usage_sums.user_id = coalesce(spans.user_id, '00000000-0000-0000-0000-000000000000')
              and grain = 'day' and usage_sums.start_time >= spans.start_time
              and usage_sums.start_time < spans.end_time
              and (spans.api_key_id is null or usage_sums.api_key_id = spans.api_key_id)
          ), 0) + coalesce((
            select sum(cost_micros) from usage_pending join usage using (run_id)
            where create_time >= spans.start_time and create_time < spans.end_time
              and (spans.user_id is null or usage.user_id = spans.user_id)
              and (spans.api_key_id is null or usage.api_key_id = spans.api_key_id)
          ), 0))::bigint,
          coalesce((
            select sum(micros) from budget_reservations reservation
            where (spans.user_id is null or reservation.user_id = spans.user_id)
              and (spans.api_key_id is null or reservation.api_key_id = spans.api_key_id)
          ), 0)::bigint
        from spans
      $$;
    `);

    // Reserves what a run may cost at most, of every budget that counts for it. Costs here are
    // millionths of micros. Whoever reserves of a budget holds its lock; each statement of a
    // function sees what was committed before it, so also by whoever held the lock before.
    this.addSql(`
      create function reserve_budget(
        run uuid, owner uuid, api_key uuid,
        user_day bigint, user_month bigint, key_day bigint, key_month bigint,
        input_cost numeric, output_price numeric,
        wanted bigint, is_asked boolean, least_tokens bigint, at timestamptz
      ) returns text language plpgsql as $$
      declare
        moment timestamptz := coalesce(at, clock_timestamp());
        locked text;
        tightest record;
        free numeric;
        payable numeric;
        granted numeric;
        amount numeric;
      begin
        for locked in
          select name from (values
            ('everyone', null::bigint, null::bigint),
            ('user:' || owner, user_day, user_month),
            ('key:' || api_key, key_day, key_month)
          ) names (name, day, month) left join budgets on budgets.subject = name
          where name is not null and
            case when budgets.subject is null then coalesce(day, month)
              else coalesce(daily_micros, monthly_micros) end is not null
          order by name
        loop
          perform pg_advisory_xact_lock(hashtextextended(locked, 5090103));
        end loop;

        select * into tightest
        from budget_accounts(owner, api_key, user_day, user_month, key_day, key_month, moment)
        order by limit_micros - spent_micros - reserved_micros, end_time desc limit 1;
        if not found then
          return null;
        end if;

        free := tightest.limit_micros - tightest.spent_micros - tightest.reserved_micros;
        payable := floor((free * 1000000 - input_cost) / output_price);
        granted := least(wanted, payable,
          case when not is_asked then greatest(floor(payable / 16), 4096) end);
        if granted < least(wanted, least_tokens) then
          return json_build_object(
            'subject', tightest.subject, 'period', tightest.period,
            'endTime', (extract(epoch from tightest.end_time) * 1000)::bigint,
            'seconds', ceil(extract(epoch from tightest.end_time - moment))::bigint,
            'limitMicros', tightest.limit_micros, 'spentMicros', tightest.spent_micros,
            'reservedMicros', tightest.reserved_micros
          );
        end if;

        amount := ceil((input_cost + output_price *
          (granted + least(ceil(granted / 4) + 16, floor((payable - granted) / 256)))) / 1000000);
        insert into budget_reservations (run_id, user_id, api_key_id, micros)
        values (run, owner, api_key, amount);
        return json_build_object('grantedTokens', granted, 'micros', amount);
      end
      $$;
    `);
  }

  override down(): void | Promise<void> {
    this.addSql(`drop function reserve_budget;`);
    this.addSql(`drop function budget_accounts;`);
    this.addSql(`drop table if exists "budget_reservations" cascade;`);
    this.addSql(`drop table if exists "budgets" cascade;`);

    this.addSql(`alter table "messages" drop constraint "messages_finish_reason_check";`);
    this.addSql(`alter table "messages" add constraint "messages_finish_reason_check" check ("finish_reason" in ('stop', 'length', 'tool_calls', 'content_filter', 'cancelled', 'error'));`);
  }

}
