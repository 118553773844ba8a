import { Migration } from '@mikro-orm/migrations';

export class Migration20261123024757_search extends Migration {

  override name = 'Migration20261123024757_search';

  override up(): void | Promise<void> {
    this.addSql(`create table "search_queue" ("user_id" uuid not null, "message_id" uuid not null, primary key ("user_id", "message_id"));`);

    this.addSql(`create table "message_search" ("message_id" uuid not null, "conversation_id" uuid not null, "user_id" uuid not null, "role" text not null, "create_time" timestamptz(3) not null, "document" tsvector not null, primary key ("message_id"));`);
    this.addSql(`create index "message_search_conversation_index" on "message_search" ("conversation_id");`);
    this.addSql(`create index message_search_document_index on message_search using gin (document);`);

    this.addSql(`alter table "message_search" add constraint "message_search_conversation_id_foreign" foreign key ("conversation_id") references "conversations" ("id") on delete cascade;`);
    this.addSql(`alter table "message_search" add constraint "message_search_role_check" check ("role" in ('user', 'assistant'));`);

    // What is there already is to be found too.
    this.addSql(`
      insert into search_queue (user_id, message_id)
      select conversations.user_id, messages.id from messages
        join conversations on conversations.id = messages.conversation_id
    `);
  }

  override down(): void | Promise<void> {
    this.addSql(`drop table if exists "search_queue" cascade;`);
    this.addSql(`drop table if exists "message_search" cascade;`);
  }

}
