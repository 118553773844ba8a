import { Migration } from '@mikro-orm/migrations';

export class Migration20261123051405_content_keys extends Migration {

  override name = 'Migration20261123051405_content_keys';

  override up(): void | Promise<void> {
    this.addSql(`create table "content_keys" ("id" text not null, "create_time" timestamptz(3) not null default now(), primary key ("id"));`);
  }

  override down(): void | Promise<void> {
    this.addSql(`drop table if exists "content_keys" cascade;`);
  }

}
