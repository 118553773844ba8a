import { Migration } from '@mikro-orm/migrations';

export class Migration20261123062456_conversation_tokens extends Migration {

  override name = 'Migration20261123062456_conversation_tokens';

  override up(): void | Promise<void> {
    this.addSql(`alter table "conversations" add "input_tokens" bigint not null default '0', add "cached_input_tokens" bigint not null default '0';`);
  }

  override down(): void | Promise<void> {
    this.addSql(`alter table "conversations" drop column "input_tokens", drop column "cached_input_tokens";`);
  }

}
