import { Migration } from '@mikro-orm/migrations';

export class Migration20261123051100_usage_sums extends Migration {

  override name = 'Migration20261123051100_usage_sums';

  override up(): void | Promise<void> {
    this.addSql(`create table "usage_pending" ("run_id" uuid not null, primary key ("run_id"));`);

    this.addSql(`create table "usage_sums" ("user_id" uuid not null, "grain" text not null, "start_time" timestamptz(3) not null, "api_key_id" uuid not null, "model" text not null, "provider" text not null, "runs" bigint not null, "runs_without_price" bigint not null, "runs_estimated" bigint not null, "input_tokens" bigint not null, "cached_input_tokens" bigint not null, "cache_write_tokens" bigint not null, "output_tokens" bigint not null, "reasoning_tokens" bigint not null, "cost_micros" bigint not null, primary key ("user_id", "grain", "start_time", "api_key_id", "model", "provider"));`);
    this.addSql(`create index "usage_sums_time_index" on "usage_sums" ("grain", "start_time") where user_id <> '00000000-0000-0000-0000-000000000000';`);

    this.addSql(`alter table "usage" add "estimated" boolean not null default false;`);

    this.addSql(`alter table "usage_sums" add constraint "usage_sums_grain_check" check ("grain" in ('hour', 'day'));`);

    // What is there already is to be summed too.
    this.addSql(`lock table usage in share row exclusive mode;`);
    this.addSql(`
      insert into usage_sums
      select coalesce(user_id, '00000000-0000-0000-0000-000000000000'), grain, start_time,
        coalesce(api_key_id, '00000000-0000-0000-0000-000000000000'), model, provider,
        count(*), count(*) filter (where cost_micros is null), 0, sum(input_tokens),
        sum(cached_input_tokens), sum(cache_write_tokens), sum(output_tokens),
        sum(reasoning_tokens), coalesce(sum(cost_micros), 0)
      from (
        select usage.*, grain, date_trunc(grain, create_time, 'UTC') as start_time
        from usage cross join (values ('hour'), ('day')) grains (grain)
      ) ledger
      group by grouping sets
        ((user_id, api_key_id, grain, start_time, model, provider),
         (grain, start_time, model, provider));
    `);
  }

  override down(): void | Promise<void> {
    this.addSql(`drop table if exists "usage_pending" cascade;`);
    this.addSql(`drop table if exists "usage_sums" cascade;`);

    this.addSql(`alter table "usage" drop column "estimated";`);
  }

}
