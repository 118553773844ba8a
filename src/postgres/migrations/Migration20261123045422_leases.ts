import { Migration } from '@mikro-orm/migrations';

export class Migration20261123045422_leases extends Migration {

  override name = 'Migration20261123045422_leases';

  override up(): void | Promise<void> {
    this.addSql(`create table "leases" ("name" text not null, "expire_time" timestamptz(3) not null, primary key ("name"));`);
  }

  override down(): void | Promise<void> {
    this.addSql(`drop table if exists "leases" cascade;`);
  }

}
