import { Migration } from "@mikro-orm/migrations";

/** The user to whom ADMIN_API_KEY belongs; src/identity/administrator.ts has the id too. */
export class Migration20261123021500_administrator extends Migration {
  override name = "Migration20261123021500_administrator";

  override up(): void {
    this.addSql(
      `insert into "users" ("id", "display_name", "role") values ('00000000-0000-7000-8000-000000000001', 'Administrator', 'admin') on conflict do nothing;`,
    );
  }

  override down(): void {
    this.addSql(`delete from "users" where "id" = '00000000-0000-7000-8000-000000000001';`);
  }
}
