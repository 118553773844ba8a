import { Migration } from '@mikro-orm/migrations';

export class Migration20261123021454_identity extends Migration {

  override name = 'Migration20261123021454_identity';

  override up(): void | Promise<void> {
    this.addSql(`create table "audit_details" ("event_id" uuid not null, "user_id" uuid null, "create_time" timestamptz(3) not null, "salt" bytea not null, "address" text not null, "facts" jsonb not null, primary key ("event_id"));`);
    this.addSql(`create index "audit_details_user_index" on "audit_details" ("user_id");`);
    this.addSql(`create index "audit_details_time_index" on "audit_details" ("create_time");`);

    this.addSql(`create table "audit_events" ("id" uuid not null, "create_time" timestamptz(3) not null, "user_id" uuid null, "api_key_id" uuid null, "action" text not null, "resource" text not null, "outcome" text not null, "request_id" text not null, "details_digest" bytea null, primary key ("id"));`);
    this.addSql(`create index "audit_events_user_index" on "audit_events" ("user_id", "id");`);
    this.addSql(`create index "audit_events_action_index" on "audit_events" ("action", "id");`);

    this.addSql(`create table "audit_head" ("id" smallint not null, "sequence" bigint not null, "hash" bytea not null, "seal" bytea not null, "key_id" text not null, primary key ("id"));`);

    this.addSql(`create table "audit_links" ("sequence" bigint not null, "event_id" uuid not null, "previous_hash" bytea not null, "hash" bytea not null, "key_id" text not null, primary key ("sequence"));`);
    this.addSql(`alter table "audit_links" add constraint "audit_links_event_unique" unique ("event_id");`);

    this.addSql(`create table "audit_pending" ("event_id" uuid not null, primary key ("event_id"));`);

    this.addSql(`create table "secrets" ("name" text not null, "value" bytea not null, "create_time" timestamptz(3) not null default now(), primary key ("name"));`);

    this.addSql(`create table "signing_keys" ("id" text not null, "public_key" jsonb not null, "private_key" bytea not null, "create_time" timestamptz(3) not null default now(), "active_time" timestamptz(3) not null, "expire_time" timestamptz(3) not null, primary key ("id"));`);

    this.addSql(`create table "sessions" ("id" uuid not null, "user_id" uuid not null, "create_time" timestamptz(3) not null default now(), "expire_time" timestamptz(3) not null, "revoke_time" timestamptz(3) null, "update_time" timestamptz(3) not null default now(), primary key ("id"));`);
    this.addSql(`create index "sessions_user_index" on "sessions" ("user_id");`);
    this.addSql(`create index "sessions_update_index" on "sessions" ("update_time");`);
    this.addSql(`create index "sessions_expire_index" on "sessions" ("expire_time");`);

    this.addSql(`create table "refresh_tokens" ("hash" bytea not null, "session_id" uuid not null, "create_time" timestamptz(3) not null default now(), "use_time" timestamptz(3) null, primary key ("hash"));`);
    this.addSql(`create index "refresh_tokens_session_index" on "refresh_tokens" ("session_id");`);

    this.addSql(`create table "foreign_identities" ("issuer" text not null, "subject" text not null, "user_id" uuid not null, "create_time" timestamptz(3) not null default now(), primary key ("issuer", "subject"));`);
    this.addSql(`create index "foreign_identities_user_index" on "foreign_identities" ("user_id");`);

    this.addSql(`create table "api_keys" ("id" uuid not null, "user_id" uuid not null, "name" text not null, "prefix" text not null, "hash" bytea not null, "scopes" text[] not null, "requests_per_minute" int null, "tokens_per_minute" int null, "expire_time" timestamptz(3) null, "last_used_time" timestamptz(3) null, "revoke_time" timestamptz(3) null, "block_time" timestamptz(3) null, "create_time" timestamptz(3) not null default now(), "update_time" timestamptz(3) not null default now(), primary key ("id"));`);
    this.addSql(`create index "api_keys_user_index" on "api_keys" ("user_id", "id");`);
    this.addSql(`create index "api_keys_update_index" on "api_keys" ("update_time");`);
    this.addSql(`alter table "api_keys" add constraint "api_keys_hash_unique" unique ("hash");`);

    this.addSql(`alter table "users" add "block_time" timestamptz(3) null;`);
    this.addSql(`create index "users_update_index" on "users" ("update_time");`);

    this.addSql(`alter table "sessions" add constraint "sessions_user_id_foreign" foreign key ("user_id") references "users" ("id") on delete cascade;`);

    this.addSql(`alter table "refresh_tokens" add constraint "refresh_tokens_session_id_foreign" foreign key ("session_id") references "sessions" ("id") on delete cascade;`);

    this.addSql(`alter table "foreign_identities" add constraint "foreign_identities_user_id_foreign" foreign key ("user_id") references "users" ("id") on delete cascade;`);

    this.addSql(`alter table "api_keys" add constraint "api_keys_user_id_foreign" foreign key ("user_id") references "users" ("id") on delete cascade;`);

    // The user to whom ADMIN_API_KEY belongs.
    this.addSql(`insert into users (id, display_name, role) values ('00000000-0000-7000-8000-000000000001', 'Administrator', 'admin');`);

    // The audit log only grows: neither its owner nor anybody below a superuser may change it,
    // and the triggers refuse a superuser too.
    this.addSql(`
      create function refuse_audit_change() returns trigger language plpgsql as $$
      begin
        raise exception 'the audit log only grows: % on % is refused', tg_op, tg_table_name
          using errcode = 'insufficient_privilege';
      end $$;
    `);
    for (const table of ['audit_events', 'audit_links']) {
      this.addSql(`create trigger ${table}_append_only before update or delete or truncate on ${table} for each statement execute function refuse_audit_change();`);
      this.addSql(`revoke update, delete, truncate on ${table} from current_user, public;`);
    }
    this.addSql(`create trigger audit_head_kept before delete or truncate on audit_head for each statement execute function refuse_audit_change();`);
    this.addSql(`revoke delete, truncate on audit_head from current_user, public;`);
  }

  override down(): void | Promise<void> {
    this.addSql(`alter table "refresh_tokens" drop constraint "refresh_tokens_session_id_foreign";`);

    this.addSql(`delete from users where id = '00000000-0000-7000-8000-000000000001';`);
    this.addSql(`drop table if exists "audit_details" cascade;`);
    this.addSql(`drop table if exists "audit_events" cascade;`);
    this.addSql(`drop table if exists "audit_head" cascade;`);
    this.addSql(`drop table if exists "audit_links" cascade;`);
    this.addSql(`drop table if exists "audit_pending" cascade;`);
    this.addSql(`drop table if exists "secrets" cascade;`);
    this.addSql(`drop table if exists "signing_keys" cascade;`);
    this.addSql(`drop table if exists "sessions" cascade;`);
    this.addSql(`drop table if exists "refresh_tokens" cascade;`);
    this.addSql(`drop table if exists "foreign_identities" cascade;`);
    this.addSql(`drop table if exists "api_keys" cascade;`);
    this.addSql(`drop function refuse_audit_change();`);

    this.addSql(`drop index "users_update_index";`);
    this.addSql(`alter table "users" drop column "block_time";`);
  }

}
