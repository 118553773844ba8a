import { Migration } from '@mikro-orm/migrations';

export class Migration20261123015429_schema extends Migration {

  override name = 'Migration20261123015429_schema';

  override up(): void | Promise<void> {
    this.addSql(`create table "settings" ("name" text not null, "value" jsonb not null, "version" bigint not null default '1', "update_time" timestamptz(3) not null default now(), primary key ("name"));`);

    this.addSql(`create table "usage" ("run_id" uuid not null, "user_id" uuid not null, "api_key_id" uuid null, "conversation_id" uuid not null, "model" text not null, "provider" text not null, "input_tokens" bigint not null, "cached_input_tokens" bigint not null, "cache_write_tokens" bigint not null, "output_tokens" bigint not null, "reasoning_tokens" bigint not null, "cost_micros" bigint null, "price_version" text not null, "create_time" timestamptz(3) not null default now(), primary key ("run_id"));`);
    this.addSql(`create index "usage_user_index" on "usage" ("user_id", "create_time");`);
    this.addSql(`create index "usage_time_index" on "usage" ("create_time");`);

    this.addSql(`create table "users" ("id" uuid not null, "email" text null, "display_name" text not null default '', "role" text not null, "disabled" boolean not null default false, "password_hash" text null, "create_time" timestamptz(3) not null default now(), "update_time" timestamptz(3) not null default now(), primary key ("id"));`);
    this.addSql(`create unique index users_email_unique on users (lower(email));`);

    this.addSql(`create table "conversations" ("id" uuid not null, "user_id" uuid not null, "title" text not null default '', "system" text null, "metadata" jsonb not null default '{}', "head_message_id" uuid null, "last_sequence" bigint not null default '0', "version" bigint not null default '1', "create_time" timestamptz(3) not null default now(), "update_time" timestamptz(3) not null default now(), primary key ("id"));`);
    this.addSql(`create index "conversations_recency_index" on "conversations" ("user_id", "update_time" DESC, "id" DESC);`);

    this.addSql(`create table "runs" ("id" uuid not null, "conversation_id" uuid not null, "user_id" uuid not null, "api_key_id" uuid null, "user_message_id" uuid not null, "assistant_message_id" uuid not null, "state" text not null, "sequence" bigint not null, "model" text not null, "provider" text null, "error_reason" text null, "error_message" text null, "idempotency_key" text null, "request_hash" bytea null, "start_time" timestamptz(3) not null default now(), "end_time" timestamptz(3) null, "lease_time" timestamptz(3) null, primary key ("id"));`);
    this.addSql(`create index "runs_conversation_index" on "runs" ("conversation_id");`);
    this.addSql(`create index "runs_running_index" on "runs" ("start_time") where state = 'running';`);
    this.addSql(`create unique index "runs_idempotency_key_unique" on "runs" ("user_id", "idempotency_key") where idempotency_key is not null;`);

    this.addSql(`create table "messages" ("id" uuid not null, "conversation_id" uuid not null, "parent_id" uuid null, "role" text not null, "status" text not null, "content" jsonb not null, "tokens" int not null, "sequence" bigint not null, "run_id" uuid null, "model" text null, "provider" text null, "finish_reason" text null, "input_tokens" bigint null, "cached_input_tokens" bigint null, "cache_write_tokens" bigint null, "output_tokens" bigint null, "reasoning_tokens" bigint null, "cost_micros" bigint null, "metadata" jsonb null, "create_time" timestamptz(3) not null default now(), primary key ("id"));`);
    this.addSql(`alter table "messages" add constraint "messages_order_unique" unique ("conversation_id", "sequence");`);

    this.addSql(`alter table "users" add constraint "users_role_check" check ("role" in ('viewer', 'user', 'admin', 'service'));`);

    this.addSql(`alter table "conversations" add constraint "conversations_user_id_foreign" foreign key ("user_id") references "users" ("id");`);

    this.addSql(`alter table "runs" add constraint "runs_conversation_id_foreign" foreign key ("conversation_id") references "conversations" ("id") on delete cascade;`);
    this.addSql(`alter table "runs" add constraint "runs_state_check" check ("state" in ('running', 'completed', 'failed', 'cancelled', 'interrupted'));`);

    this.addSql(`alter table "messages" add constraint "messages_conversation_id_foreign" foreign key ("conversation_id") references "conversations" ("id") on delete cascade;`);
    this.addSql(`alter table "messages" add constraint "messages_role_check" check ("role" in ('user', 'assistant'));`);
    this.addSql(`alter table "messages" add constraint "messages_status_check" check ("status" in ('completed', 'failed', 'cancelled', 'interrupted'));`);
    this.addSql(`alter table "messages" add constraint "messages_finish_reason_check" check ("finish_reason" in ('stop', 'length', 'tool_calls', 'content_filter', 'cancelled', 'error'));`);
  }

  override down(): void | Promise<void> {
    this.addSql(`alter table "conversations" drop constraint "conversations_user_id_foreign";`);
    this.addSql(`alter table "runs" drop constraint "runs_conversation_id_foreign";`);
    this.addSql(`alter table "messages" drop constraint "messages_conversation_id_foreign";`);

    this.addSql(`drop table if exists "settings" cascade;`);
    this.addSql(`drop table if exists "usage" cascade;`);
    this.addSql(`drop table if exists "users" cascade;`);
    this.addSql(`drop table if exists "conversations" cascade;`);
    this.addSql(`drop table if exists "runs" cascade;`);
    this.addSql(`drop table if exists "messages" cascade;`);
  }

}
